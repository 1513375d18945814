"""Measure how right `tritonforge place` foretells: against real wheels, and by the clock.

Wheels go into the user's cache, pinned and hashed like those of the toolchain, and stay there.
"""

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, helper
from platformdirs import user_cache_path

from tritonforge.placement import place, place_model
from tritonforge.release import RUNTIME, Release, find, images
from tritonforge.toolchain import pins

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
import foreseen
import ownnodes

_RIGHT = 0.99
_LEAST = 8  # wheels
_TORCHSCRIPT, _DYNAMO = range(9, 21), range(18, 24)
_EXPORT = """
import sys, warnings, logging, torch, torchvision
from torch import nn
warnings.simplefilter("ignore")
logging.disable(logging.ERROR)
torch.manual_seed(0)
folder, first, last, dynamo = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), "dynamo" in sys.argv
layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
image = torch.randn(2, 3, 64, 64)
nets = {
    "resnet18": (torchvision.models.resnet18(weights=None), image),
    "mobilenet_v3_small": (torchvision.models.mobilenet_v3_small(weights=None), image),
    "encoder": (nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.randn(2, 7, 32)),
}
for name, (net, given) in nets.items():
    for opset in range(first, last + 1):
        which = "dynamo" if dynamo else "torchscript"
        path = f"{folder}/{name}.{which}.{opset}.onnx"
        batch = {"dynamic_shapes": ({0: "batch"},)} if dynamo else {"dynamic_axes": {"x": [0]}}
        try:
            torch.onnx.export(
                net.eval(), (given,), path, input_names=["x"], opset_version=opset, dynamo=dynamo,
                verbose=False, **batch, **({"external_data": False} if dynamo else {}),
            )
        except Exception as error:
            print(name, which, opset, type(error).__name__, file=sys.stderr)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the answer: what was measured, and whether the goal that it names is met."""

    what: str
    text: str
    met: bool = True

    def __str__(self) -> str:
        return f"{self.what:<50} {self.text}  {'met' if self.met else 'NOT MET'}"


def foresee() -> Iterator[Line]:
    """Measure verdicts, CUDA's known cases, and how long it takes."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _verdicts(Path(folder))
        yield from _cases()
        yield from _times(Path(folder))


# --- verdicts -------------------------------------------------------------------------------------


def _verdicts(folder: Path) -> Iterator[Line]:
    """Hold verdicts on node models and on networks against every wheel at hand."""
    wheels = _wheels()
    yield Line(
        what="ONNX Runtimes that are asked",
        text=f"{', '.join(wheels)}  goal ≥ {_LEAST}",
        met=len(wheels) >= _LEAST,
    )
    made: dict[str, Callable[[], tuple[foreseen.Stamped, ...]]] = {
        "node models": lambda: foreseen.node_models(folder / "models.bin"),
        "own operators": lambda: ownnodes.own_nodes(folder / "own.bin"),
        "networks": lambda: _networks(folder),
    }
    for what, make in made.items():
        stamped = make()
        said = _said(wheels, stamped, folder)
        tried = what != "node models"  # for those it would take as long as all wheels do
        if tried:
            said = foreseen.survivable(said)
        for score in foreseen.scores(stamped, said, tried=tried):
            loaded, refused = score.shares
            yield Line(
                what=f"verdict on {what}, ONNX Runtime {score.release.onnxruntime}",
                text=f"{len(score.loaded):>6} loaded, {loaded:7.2%} right;"
                f" {len(score.refused):>6} refused, {refused:7.2%} right;"
                f" {score.false_loads} false «loads»  goal ≥ {_RIGHT:.0%}, none",
                met=min(loaded, refused) >= _RIGHT and not score.false_loads,
            )
            for wrong in score.wrong[:5]:
                print(f"    {wrong}", file=sys.stderr)


def _said(
    wheels: dict[str, Path | None], stamped: Any, folder: Path
) -> dict[Release, dict[int, str]]:
    """Ask all wheels, as many at once as there are cores."""
    releases = {runtime: find(f"{RUNTIME}{runtime}") for runtime in wheels}

    def ask(runtime: str) -> dict[int, str]:
        place = wheels[runtime]
        numbers = foreseen.wanted(stamped, releases[runtime])
        folders = [] if place is None else [place]
        return foreseen.asked(Path(sys.executable), folders, stamped, numbers, folder / runtime)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(releases.values(), pool.map(ask, releases), strict=True))


def _wheels() -> dict[str, Path | None]:
    """Return the newest patch of each ONNX Runtime with a wheel for this Python, and its folder.

    The installed one needs none.
    """
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = {
        each.onnxruntime: [
            line for line in each.lines if line.startswith(("numpy==", "onnxruntime=="))
        ]
        for runtime in pins.runtimes()
        for each in pins.choices(runtime, gpu=False)
        if each.python == minor
    }
    found: dict[tuple[int, int], str] = {}
    for runtime in sorted([*lines, version("onnxruntime")], key=_numbers):
        found[find(f"{RUNTIME}{runtime}").minor] = runtime
    installed = version("onnxruntime")
    return {
        runtime: None if runtime == installed else _laid_out(runtime, minor, lines[runtime])
        for runtime in found.values()
        if runtime == installed or find(f"{RUNTIME}{runtime}").minor >= (1, 15)
    }


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _laid_out(runtime: str, minor: str, lines: list[str]) -> Path:
    """Return a folder with a wheel and its numpy, made on first need and moved there whole."""
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
    root = user_cache_path("tritonforge") / "wheels"
    folder = root / f"onnxruntime{runtime}-python{minor}-{digest}"
    if folder.is_dir():
        return folder
    staged = root / f".{uuid.uuid4().hex}.partial"
    staged.mkdir(parents=True)
    try:
        wanted = staged / "requirements.txt"
        wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        argv += ["--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
        print(f"+ pip install {lines[-1].split()[0]}", file=sys.stderr)
        subprocess.run([*argv, "--target", str(staged), "--requirement", str(wanted)], check=True)
        staged.rename(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return folder


def _networks(folder: Path) -> tuple[foreseen.Stamped, ...]:
    """Export networks at many opsets; stamp each with its own opset, and with every other too."""
    exported = folder / "networks"
    exported.mkdir()
    for opsets, dynamo in ((_TORCHSCRIPT, False), (_DYNAMO, True)):
        ends = [str(opsets[0]), str(opsets[-1])]
        argv = [sys.executable, "-c", _EXPORT, str(exported), *ends, *(["dynamo"] * dynamo)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    found = []
    for file in sorted(exported.glob("*.onnx")):
        model = _light(onnx.load(file), exported / "weights.bin")
        file.unlink()
        (entry,) = [each for each in model.opset_import if not each.domain]
        written, model.ir_version = entry.version, foreseen.IR
        for opset in sorted({written, *range(7, 28, 3)}):
            entry.version = opset
            path = exported / f"{file.stem}.as{opset}.onnx"
            onnx.save(model, path)
            found.append(foreseen.Stamped(name=file.stem, opset=opset, ir=foreseen.IR, path=path))
    return tuple(found)


def _light(model: ModelProto, weights: Path) -> ModelProto:
    """Let all large weights lie in one file of zeros: whether it loads does not depend on them."""
    largest = max((len(each.raw_data) for each in model.graph.initializer), default=0)
    with weights.open("ab") as file:
        file.truncate(max(largest, weights.stat().st_size))
    for tensor in model.graph.initializer:
        size = len(tensor.raw_data)
        if size > 1024:
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", weights.name), ("offset", "0"), ("length", str(size))):
                tensor.external_data.add(key=key, value=value)
    return model


# --- CUDA's known cases, and time -----------------------------------------------------------------


def _cases() -> Iterator[Line]:
    """Hold where a node lands against what is known of it."""
    for case in foreseen.CASES:
        wanted = {"CPU": case.cpu, "CUDA": case.cuda}
        wrong = [
            f"{runtime} says {landed}"
            for provider, runtimes in wanted.items()
            for runtime in runtimes
            if (landed := case.placed(runtime)) != provider.lower()
        ]
        text = "; ".join(f"{name} in {', '.join(of)}" for name, of in wanted.items() if of)
        yield Line(what=str(case), text="; ".join([text, *wrong]), met=not wrong)


def _times(folder: Path) -> Iterator[Line]:
    """Time placing on the GPU of every release, once what it needs is imported."""
    releases = [image.release for image in images() if image.release is not None]
    path = folder / "resnet50.onnx"
    code = "import sys, torch, torchvision; torch.onnx.export(torchvision.models.resnet50(weights="
    code += "None).eval(), (torch.randn(1, 3, 224, 224),), sys.argv[1], dynamo=False)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(path)], check=True)
    deep = _deep(5000)
    timed: tuple[tuple[str, float, Callable[[], object]], ...] = (
        ("resnet50", 3, lambda: [*place(path, releases, "cuda")]),
        (
            f"a graph of {len(deep.graph.node)} nodes",
            15,
            lambda: [*place_model(deep, releases, "cuda")],
        ),
    )
    [*place_model(_deep(5), releases, "cuda")]
    for what, goal, run in timed:
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        middle = statistics.median(seconds)
        yield Line(
            what=f"place {what} on {len(releases)} targets",
            text=f"{middle:.2f} s ({min(seconds):.2f} to {max(seconds):.2f})  goal ≤ {goal} s",
            met=middle <= goal,
        )


def _deep(count: int) -> ModelProto:
    """Write a graph of so many nodes: layers with a residual and a normalization, five each."""
    nodes = []
    for layer in range(count // 5):
        given, made = f"x{layer}", f"x{layer + 1}"
        nodes += [
            helper.make_node("MatMul", [given, f"w{layer}"], [f"m{layer}"]),
            helper.make_node("Add", [f"m{layer}", "b"], [f"a{layer}"]),
            helper.make_node("Relu", [f"a{layer}"], [f"r{layer}"]),
            helper.make_node("Add", [f"r{layer}", given], [f"s{layer}"]),
            helper.make_node("LayerNormalization", [f"s{layer}", "b"], [made]),
        ]
    for index, node in enumerate(nodes):
        node.name = f"{node.op_type}_{index}"
    last = f"x{count // 5}"
    weights = [
        helper.make_tensor(f"w{layer}", TensorProto.FLOAT, [64, 64], bytes(64 * 64 * 4), raw=True)
        for layer in range(count // 5)
    ]
    weights.append(helper.make_tensor("b", TensorProto.FLOAT, [64], bytes(256), raw=True))
    graph = helper.make_graph(
        nodes,
        "deep",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["batch", 64])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
