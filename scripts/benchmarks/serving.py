"""What a served model gives beside the same model in-process, and beside other configs."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lines import Ratio, printed, timed
from models import MLP

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
