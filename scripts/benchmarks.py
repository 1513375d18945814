"""Measure tritonforge against the bare tools it is made of, in pairs within one run.

A machine's speed drifts, so what is compared runs in turn, and the ratio is taken pair by pair;
the median of the ratios is printed beside its goal.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

BARE_EXPORT = """
import sys, torch, torchvision
model = torchvision.models.resnet50(weights=None).eval()
program = torch.onnx.export(
    model, (torch.randn(2, 3, 224, 224),), dynamo=True, dynamic_shapes=({0: "batch"},)
)
program.save(sys.argv[1])
"""
BARE_BERT = """
import sys, torch, transformers
model = transformers.BertModel(transformers.BertConfig()).eval()
ids = torch.randint(0, 30522, (2, 16))
dims = {0: "batch", 1: "seq"}
program = torch.onnx.export(
    model, (ids, torch.ones_like(ids)), dynamo=True, dynamic_shapes=(dims, dims)
)
program.save(sys.argv[1])
"""
IN_PROCESS = """
import sys, time, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
rows = int(sys.argv[2])
feed = {session.get_inputs()[0].name: numpy.random.rand(rows, 3, 224, 224).astype("float32")}
session.run(None, feed)
start, done = time.perf_counter(), 0
while time.perf_counter() - start < float(sys.argv[3]):
    session.run(None, feed)
    done += rows
print(done / (time.perf_counter() - start))
"""


MLP = """
import torch
from torch import nn
def mlp():
    torch.manual_seed(0)
    layers = nn.Linear(128, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    return nn.Sequential(*layers), (torch.randn(2, 128),)
"""
BIG = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(5120, 5120) for _ in range(24))
    def forward(self, x):
        for layer in self.layers:
            x = x + 0.1 * torch.relu(layer(x))
        return x[:, :8]
def big():
    torch.manual_seed(0)
    return Net(), (torch.randn(2, 5120),)
"""
IDENTITY = """
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([self.same(request)]) for request in requests]
    def same(self, request):
        tensor = pb_utils.get_input_tensor_by_name(request, "x")
        return pb_utils.Tensor("y", tensor.as_numpy())
"""
IDENTITY_CONFIG = """
name: "identity"
backend: "python"
max_batch_size: 16
input { name: "x" data_type: TYPE_FP32 dims: [ 128 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 128 ] }
instance_group { count: 1 kind: KIND_CPU }
dynamic_batching { }
"""


# The load of `defaults` comes from one thread. perf_analyzer's own, one for each request under way,
# takes a third of two cores from a server of a small model, and is then what both configs wait for;
# a client is elsewhere.
FROM_ONE_THREAD = ("--async", "--max-threads", "1")


class Line(Protocol):
    """One line of the answer, which prints itself with its goal."""

    @property
    def met(self) -> bool:
        """Say whether the goal is met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One line of the answer: the pairwise ratios and the goal that their median is held to."""

    what: str
    ratios: tuple[float, ...]
    goal: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Say whether the median meets the goal."""
        middle = statistics.median(self.ratios)
        return middle >= self.goal if self.at_least else middle <= self.goal

    def __str__(self) -> str:
        sign, verdict = ("≥" if self.at_least else "≤"), ("met" if self.met else "NOT MET")
        low, high = min(self.ratios), max(self.ratios)
        return (
            f"{self.what:<58} {statistics.median(self.ratios):5.2f}"
            f"  ({low:.2f} to {high:.2f})  goal {sign} {self.goal}  {verdict}"
        )


def timed(*argv: str) -> tuple[float, float]:
    """Run a command to its end; return wall seconds and peak memory in MiB (`wait4(2)`)."""
    start = time.perf_counter()
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    child = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[null])
    _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"failed: {' '.join(argv[:3])} …")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def held(*argv: str) -> float:
    """Run a command to its end; return the peak memory of it and its children together, in MiB.

    Pages that processes share are counted once (`Pss` of proc_pid_smaps(5)), mapped files too. The
    largest process alone is asked of the kernel, which misses nothing between two looks.
    """
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    child, peak = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[null]), 0.0
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        peak = max(peak, sum(map(resident, family(child))))
        time.sleep(0.02)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"failed: {' '.join(argv[:3])} …")
    return max(peak, usage.ru_maxrss / 1024)


def family(process: int) -> Iterator[int]:
    """Yield a process and those that it and they started."""
    yield process
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended meanwhile
            for child in path.read_text().split():
                yield from family(int(child))


def resident(process: int) -> float:
    """Return the memory of a process in MiB, what it shares by shares."""
    with suppress(OSError), Path(f"/proc/{process}/smaps_rollup").open() as lines:  # it has ended
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0


def help_start() -> Iterator[Ratio]:
    """Compare `tritonforge --help` with importing click."""
    ratios = []
    for _ in range(21):
        ours, _ = timed("tritonforge", "--help")
        bare, _ = timed(sys.executable, "-c", "import click")
        ratios.append(ours / bare)
    yield Ratio(what="tritonforge --help / import click, wall", ratios=tuple(ratios), goal=1.5)


def build() -> Iterator[Ratio]:
    """Compare a whole build of resnet50 with a bare export that proves nothing."""
    walls, peaks = over_bare("resnet50", BARE_EXPORT)
    yield Ratio(what="build resnet50 / bare dynamo export, wall", ratios=walls, goal=1.5)
    yield Ratio(what="build resnet50 / bare dynamo export, memory", ratios=peaks, goal=1.3)


def bert() -> Iterator[Ratio]:
    """Compare a whole build of a BERT of twelve layers with a bare export of it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text('{"model_type": "bert"}', "utf-8")
        walls, peaks = over_bare(f"hf:{folder}#feature-extraction", BARE_BERT)
    yield Ratio(what="build BERT / bare dynamo export, wall", ratios=walls, goal=1.5)
    yield Ratio(what="build BERT / bare dynamo export, memory", ratios=peaks, goal=1.5)


def over_bare(source: str, bare: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the ratios of wall and of memory of builds over a script that only exports."""
    walls, peaks = [], []
    with tempfile.TemporaryDirectory() as folder:
        command = ("tritonforge", "build", source, "--weights", "random", "--rebuild")
        for _ in range(3):
            wall, peak = timed(*command, "-r", f"{folder}/model_repository")
            bare_wall, bare_peak = timed(sys.executable, "-c", bare, f"{folder}/bare.onnx")
            walls.append(wall / bare_wall)
            peaks.append(peak / bare_peak)
    return tuple(walls), tuple(peaks)


def big() -> Iterator[Ratio]:
    """Compare the peak memory of builds of a model of 2.5 GB with its weights."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "large.py").write_text(BIG, "utf-8")
        repository = Path(folder, "model_repository")
        built = repository / "module" / "1" / "model.onnx"
        for name, source in (("module", f"{folder}/large.py:big"), ("file", str(built))):
            named = ("--name", name, "-r", str(repository), "--max-batch-size", "4")
            peak = held("tritonforge", "build", source, *named)
            weights = built.with_name("model.onnx.data").stat().st_size / 2**20
            yield Ratio(
                what=f"build of a {name} of {weights * 2**20 / 1e9:.2f} GB / weights, memory",
                ratios=(peak / weights,),
                goal=2.0,
            )


def serve() -> Iterator[Ratio]:
    """Compare resnet50 served at concurrency 8 with ONNX Runtime alone on batches of 8."""
    from tritonforge import toolchain
    from tritonforge.repository import Repository
    from tritonforge.serving import serving

    ratios = []
    python = toolchain.own().root / "bin" / "python"  # the same ONNX Runtime as the server's
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(Path(folder) / "model_repository")
        command = ("tritonforge", "build", "resnet50", "--weights", "random")
        timed(*command, "-r", str(repository.path))
        model = repository.entry("resnet50").version_dir / "model.onnx"
        with serving(repository.path) as endpoint:
            for _ in range(5):
                alone = float(printed(str(python), "-c", IN_PROCESS, str(model), "8", "10"))
                ratios.append(throughput(repository, endpoint, "resnet50", 8) / alone)
    yield Ratio(
        what="resnet50 served at concurrency 8 / in-process, throughput",
        ratios=tuple(ratios),
        goal=0.95,
        at_least=True,
    )


def mlp() -> Iterator[Ratio]:
    """Compare a small MLP with a Python model that hands its input on: all that Triton costs."""
    from tritonforge.repository import Repository
    from tritonforge.serving import serving

    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "small.py")
        source.write_text(MLP, "utf-8")
        repository = Repository(Path(folder) / "model_repository")
        named = ("--name", "mlp", "-r", str(repository.path))
        timed("tritonforge", "build", f"{source}:mlp", *named)
        identity = repository.path / "identity" / "1"
        identity.mkdir(parents=True)
        (identity / "model.py").write_text(IDENTITY, "utf-8")
        (identity.parent / "config.pbtxt").write_text(IDENTITY_CONFIG, "utf-8")
        with serving(repository.path) as endpoint:
            for _ in range(5):
                ours, theirs = (
                    throughput(repository, endpoint, model, 16) for model in ("mlp", "identity")
                )
                ratios.append(ours / theirs)
    yield Ratio(
        what="MLP served at concurrency 16 / Python identity, throughput",
        ratios=tuple(ratios),
        goal=0.75,
        at_least=True,
    )


def defaults() -> Iterator[Ratio]:
    """Compare the configs that a build writes with those that Triton completes by itself."""
    from tritonforge.repository import Repository
    from tritonforge.serving import serving

    for what, source, concurrency, goal in (
        ("resnet50", "resnet50", 8, 1.35),
        ("MLP", "small.py:mlp", 16, 2.0),
    ):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "small.py").write_text(MLP, "utf-8")
            repository = Repository(Path(folder) / "model_repository")
            text = source if source == "resnet50" else f"{folder}/{source}"
            named = ("--name", "ours", "--weights", "random", "-r", str(repository.path))
            timed("tritonforge", "build", text, *named, "--cores", str(os.cpu_count()))
            bare = repository.path / "completed" / "1"
            bare.mkdir(parents=True)
            os.link(repository.entry("ours").version_dir / "model.onnx", bare / "model.onnx")
            with serving(repository.path) as endpoint:
                ratios = [
                    throughput(repository, endpoint, "ours", concurrency, FROM_ONE_THREAD)
                    / throughput(repository, endpoint, "completed", concurrency, FROM_ONE_THREAD)
                    for _ in range(5)
                ]
        yield Ratio(
            what=f"{what} at concurrency {concurrency}: our config / completed, throughput",
            ratios=tuple(ratios),
            goal=goal,
            at_least=True,
        )


def unchanged() -> Iterator[Ratio]:
    """Measure how long twenty models take that have not changed, beyond what one alone takes."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("small.py").write_text(MLP, "utf-8")
        names = [f"model{number}" for number in range(20)]
        tables = "".join(f'[models.{name}]\nsource = "small.py:mlp"\n' for name in names)
        Path("tritonforge.toml").write_text(tables, "utf-8")
        timed("tritonforge", "build")
        seconds = [
            timed("tritonforge", "build")[0] - timed("tritonforge", "spec", names[0])[0]
            for _ in range(5)
        ]
        os.chdir("/")
    yield Ratio(what="20 unchanged models after start, seconds", ratios=tuple(seconds), goal=2.0)


def jobs() -> Iterator[Ratio]:
    """Compare forty small models built by two processes with the same forty by one."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "small.py")
        names = [f"mlp{number}" for number in range(40)]
        source.write_text(MLP + "".join(f"{name} = mlp\n" for name in names), "utf-8")
        models = [f"{source}:{name}" for name in names]
        for pair in range(3):
            seconds = [
                timed("tritonforge", "build", *models, "-j", jobs, "-r", f"{folder}/{pair}-{jobs}")[
                    0
                ]
                for jobs in ("1", "2")
            ]
            ratios.append(seconds[0] / seconds[1])
    yield Ratio(
        what=f"40 small models, -j 1 / -j 2 on {len(os.sched_getaffinity(0))} cores, wall",
        ratios=tuple(ratios),
        goal=1.5,
        at_least=True,
    )


def throughput(
    repository: Any, endpoint: Any, model: str, concurrency: int, extra: tuple[str, ...] = ()
) -> float:
    """Measure one level of one served model, in inferences a second."""
    from tritonforge.measure import Wish, measure
    from tritonforge.perf import Load

    interval = 5000 if concurrency < 16 else 2000
    wish = Wish(load=Load(concurrencies=(concurrency,), interval_ms=interval, extra=extra))
    (report,) = measure(repository, (model,), wish, endpoint=endpoint, rehearsed=print)
    return float(report.levels[0].throughput)


def printed(*argv: str) -> str:
    """Run a command and return what it printed."""
    from tritonforge import process

    finished = process.run(argv, timeout=600, quiet=True)
    if finished.returncode != 0:
        sys.exit(f"failed: {finished.tail}")
    return finished.output


def foresee() -> Iterator[Line]:
    """Hold what is foretold of models against real wheels, see the module of that name."""
    from foresee import foresee as measured

    yield from measured()


BENCHMARKS: dict[str, Callable[[], Iterator[Line]]] = {
    "help": help_start,
    "build": build,
    "bert": bert,
    "big": big,
    "serve": serve,
    "mlp": mlp,
    "defaults": defaults,
    "unchanged": unchanged,
    "jobs": jobs,
    "foresee": foresee,
}


def main() -> None:
    """Run the benchmarks that are named, all by default; exit 1 where a goal is not met."""
    met = True
    for name in sys.argv[1:] or BENCHMARKS:
        for line in BENCHMARKS[name]():
            print(line, flush=True)
            met = met and line.met
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
