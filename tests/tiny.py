"""Tiny real models and their repositories, made with onnx.helper; nothing here is downloaded."""

from pathlib import Path

import onnx
from onnx import TensorProto as T
from onnx import helper

OPSET, IR = 17, 8  # what the embedded server's ONNX Runtime takes


def save(path: Path, nodes, inputs, outputs, initializers=()) -> Path:
    """Write a model; tensors are `(name, type, dims)`."""
    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, **more) for op, ins, outs, more in nodes],
        "tiny",
        [helper.make_tensor_value_info(*tensor) for tensor in inputs],
        [helper.make_tensor_value_info(*tensor) for tensor in outputs],
        initializer=list(initializers),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def place(repository: Path, name: str, config: str | None, nodes, inputs, outputs, **more) -> Path:
    """Write a model and its config as version 1; return the model's folder."""
    save(repository / name / "1" / "model.onnx", nodes, inputs, outputs, **more)
    if config is not None:
        (repository / name / "config.pbtxt").write_text(f'name: "{name}"\n{config}')
    return repository / name


def config(batch: int, inputs: str, outputs: str, more: str = "dynamic_batching { }") -> str:
    """Write a config; tensors are `NAME TYPE DIMS` separated by semicolons."""

    def entries(kind: str, tensors: str) -> str:
        lines = []
        for tensor in tensors.split(";"):
            name, dtype, dims = tensor.split()
            lines.append(f'{kind} {{ name: "{name}" data_type: TYPE_{dtype} dims: [ {dims} ] }}')
        return "\n".join(lines)

    return (
        f'backend: "onnxruntime"\nmax_batch_size: {batch}\n'
        f"{entries('input', inputs)}\n{entries('output', outputs)}\n"
        f"instance_group {{ count: 1 kind: KIND_CPU }}\n{more}\n"
    )


DOUBLE = ([("Add", ["x", "x"], ["y"], {})], [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])])


def double(repository: Path, name: str = "double", more: str = "dynamic_batching { }") -> Path:
    """Place a model that doubles rows of four."""
    return place(repository, name, config(8, "x FP32 4", "y FP32 4", more), *DOUBLE)


def slow(repository: Path, name: str = "slow") -> Path:
    """Place a model that takes seconds: large products that cannot be computed beforehand."""
    shape = helper.make_tensor("shape", T.INT64, [2], [4000, 4000])
    products = [("MatMul", [f"m{n}", f"m{n}"], [f"m{n + 1}"], {}) for n in range(8)]
    nodes = [
        ("ReduceSum", ["x"], ["sum"], {"keepdims": 0}),
        ("Expand", ["sum", "shape"], ["m0"], {}),
        *products,
        ("ReduceMax", ["m8"], ["most"], {"keepdims": 0}),
        ("Add", ["x", "most"], ["y"], {}),
    ]
    row = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])]
    return place(
        repository, name, config(8, "x FP32 4", "y FP32 4"), nodes, *row, initializers=[shape]
    )
