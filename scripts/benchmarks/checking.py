"""What a check of many models costs, and how that grows with their number."""

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lines import Ratio, timed
from onnx import ModelProto, TensorProto, helper, numpy_helper

WIDTH = 16
PAGE = 1 << 16
WEIGHTS = 50 << 20  # bytes
CONFIG = """\
# Served by two teams; the second asks for the logits alone.
name: "{name}"
backend: "onnxruntime"
default_model_filename: "model.onnx"
max_batch_size: 32
input [
  {{
    name: "x"
    data_type: TYPE_FP32
    dims: [ 16 ]
  }}
]
output [
  {{
    name: "y"
    data_type: TYPE_FP32
    dims: [ 16 ]
  }}
]
instance_group [
  {{
    count: 2
    kind: KIND_CPU
  }}
]
dynamic_batching {{
  preferred_batch_size: [ 8, 16, 32 ]
  max_queue_delay_microseconds: {delay}
}}
version_policy {{
  latest {{
    num_versions: 1
  }}
}}
parameters {{
  key: "intra_op_thread_count"
  value {{
    string_value: "2"
  }}
}}
model_transaction_policy {{
  decoupled: false
}}
"""


def check() -> Iterator[Ratio]:
    """Check a thousand models with nothing known and again, and ten thousand beside a hundred."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        roots = {count: Path(folder, str(count)) for count in (1, 100, 1_000, 10_000)}
        for count, root in roots.items():
            fill(root, count)
        each = {}
        for count, root in roots.items():
            cold, warm = (spent(root) for _ in range(2))
            each[count] = tuple(
                (after[0] - before[0], after[1] - before[1])
                for before, after in zip(each.get(1, ((0.0, 0.0),) * 2), (cold, warm), strict=True)
            )
            print(f"{count} models, seconds (wall, processor) cold {cold} warm {warm}", flush=True)
        for number, state in enumerate(("nothing known", "all known")):
            wall = each[1_000][number][0]
            yield Ratio(
                what=f"1,000 models, {state}, after start, seconds", ratios=(wall,), goal=5.0
            )
            many, few = (each[count][number][1] / count for count in (10_000, 100))
            yield Ratio(
                what=f"a model of 10,000 / of 100, {state}, processor",
                ratios=(many / few,),
                goal=1.3,
            )


def spent(root: Path) -> tuple[float, float]:
    """Check a repository; return seconds of wall and of the processors."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, _ = timed("tritonforge", "check", "-r", str(root), "--format", "json")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(wall, 2), round(used, 2)


def fill(root: Path, count: int) -> None:
    """Write models, no two alike: of a hundred three have a thousand nodes, two large weights."""
    for number in range(count):
        name = f"model{number}"
        version = root / name / "1"
        version.mkdir(parents=True)
        text = CONFIG.format(name=name, delay=100 + number)
        (root / name / "config.pbtxt").write_text(text, "utf-8")
        kind = number % 100
        length = 1_000 if kind in {20, 50, 80} else 10 + number * 7 % 90
        model = chain(length, number, f"weights{number}")
        if kind in {30, 60}:
            add_weights(model, version, outside=kind == 60)
        write(model, version / "model.onnx")


def chain(length: int, seed: int, name: str) -> ModelProto:
    """Make a model of so many nodes: layers of a multilayer perceptron with skips and norms."""
    rng = np.random.default_rng(seed)
    weights = {
        "w": rng.normal(size=(WIDTH, WIDTH)),
        "b": rng.normal(size=WIDTH),
        "one": np.ones(WIDTH),
    }
    kinds = (
        ("MatMul", ("w",)),
        ("Add", ("b",)),
        ("Relu", ()),
        ("LayerNormalization", ("one", "b")),
        ("Gemm", ("w", "b")),
        ("Softmax", ()),
        ("Mul", ("one",)),
        ("Tanh", ()),
    )
    nodes, last = [], "x"
    for index in range(length):
        op, more = kinds[index % len(kinds)]
        made = "y" if index == length - 1 else f"t{index}"
        nodes.append(helper.make_node(op, [last, *more], [made], f"n{index}"))
        last = made
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        name,
        [value("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [value("y", TensorProto.FLOAT, ["batch", WIDTH])],
        [numpy_helper.from_array(each.astype(np.float32), key) for key, each in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def add_weights(model: ModelProto, folder: Path, *, outside: bool) -> None:
    """Add a table of 50 MiB that a node reads, in the file or beside it."""
    rows = WEIGHTS // (4 * WIDTH)
    table = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=(rows, WIDTH))
    if outside:
        table.data_location = TensorProto.EXTERNAL
        table.external_data.add(key="location", value="model.data")
        with (folder / "model.data").open("wb") as file:
            file.truncate(WEIGHTS)
    else:
        table.raw_data = bytes(WEIGHTS)
    model.graph.initializer.append(table)
    model.graph.node.add(op_type="Transpose", input=["table"], output=["turned"], name="turn")


def write(model: ModelProto, path: Path) -> None:
    """Write a model with holes where it is zeros: the weights take no room."""
    data = model.SerializeToString()
    with path.open("wb") as file:
        for start in range(0, len(data), PAGE):
            block = data[start : start + PAGE]
            if any(block):
                file.seek(start)
                file.write(block)
        file.truncate(len(data))
