"""What a graph says of its inputs and outputs: shapes, dtypes, values, and what decides its Ifs."""

from collections.abc import Container, Mapping
from typing import Any

import onnx
from onnx import TensorProto

from tritonforge.errors import GraphError
from tritonforge.spec import Domain
from tritonforge.tensors import Dim, DType, Signature, TensorSpec

_KEEPS_VALUES = {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"}


def signature(model: onnx.ModelProto) -> Signature:
    """Return what the graph takes and gives; initializers that are also inputs are left out.

    An unnamed first dimension is the batch, an unnamed other one is named after its tensor.
    Raises `GraphError` for what Triton's tensors cannot express: sequences, maps, optionals,
    unknown rank, dtypes without a Triton type; and for two outputs of one name.
    """
    names = [value.name for value in model.graph.output]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise GraphError(f"two outputs are named {twice!r}", hint="give each a name of its own")
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    return Signature(
        inputs=tuple(_tensor(value, "input") for value in inputs),
        outputs=tuple(_tensor(value, "output") for value in model.graph.output),
    )


def spare(model: onnx.ModelProto, names: Container[str]) -> tuple[TensorSpec, ...]:
    """Return those named of the weights that are inputs, too: a request may override them."""
    constants = {each.name for each in model.graph.initializer if each.name in names}
    return tuple(_tensor(each, "input") for each in model.graph.input if each.name in constants)


def _tensor(value: onnx.ValueInfoProto, kind: str) -> TensorSpec:
    """Describe one input or output."""
    form = value.type.WhichOneof("value")
    if form != "tensor_type":
        raise GraphError(
            f"{kind} {value.name!r} is a {(form or 'nothing').removesuffix('_type')},"
            " Triton serves tensors only",
            hint="cut the graph before it (skl2onnx: options={'zipmap': False})",
        )
    tensor = value.type.tensor_type
    dtype = DType.from_onnx(tensor.elem_type)
    if dtype is None:
        known = TensorProto.DataType.DESCRIPTOR.values_by_number.get(tensor.elem_type)
        name = known.name if known else f"of type {tensor.elem_type}"
        raise GraphError(
            f"{kind} {value.name!r} is {name}, which Triton's ONNX Runtime backend does not take",
            hint="put a Cast to FLOAT before the output or after the input",
        )
    if not tensor.HasField("shape"):
        raise GraphError(
            f"{kind} {value.name!r} has no shape in the file",
            hint="run onnx.shape_inference, or state the shape in the file",
        )
    dims = tuple(dim_of(dim, value.name, index) for index, dim in enumerate(tensor.shape.dim))
    return TensorSpec(name=value.name, dtype=dtype, dims=dims)


def dim_of(dim: Any, tensor: str, index: int) -> Dim:
    """Return a number for a fixed dimension, a name for a dynamic one."""
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    if dim.HasField("dim_param") and dim.dim_param:
        return str(dim.dim_param)
    return "batch" if index == 0 else f"{tensor}_{index}"


def name_output_dims(model: onnx.ModelProto, dims: Mapping[str, tuple[Dim, ...]]) -> None:
    """Rewrite the shapes that a graph states for its outputs, in place."""
    for value in model.graph.output:
        for dim, wanted in zip(
            value.type.tensor_type.shape.dim, dims.get(value.name, ()), strict=False
        ):
            if isinstance(wanted, str):
                dim.dim_param = wanted
            else:
                dim.dim_value = wanted


def domains(model: onnx.ModelProto) -> dict[str, Domain]:
    """Guess from the graph which whole numbers an integer input may hold.

    An input that indexes a constant table (Gather on an embedding) holds numbers below its length,
    straight or through Cast, Reshape and their like.
    """
    tables = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    origin = {value.name: value.name for value in model.graph.input if value.name not in tables}
    found: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[0] in tables and node.input[1] in origin:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            length = tables[node.input[0]][axis] if tables[node.input[0]] else 0
            name = origin[node.input[1]]
            found[name] = min(found.get(name, length), length)
        elif node.op_type in _KEEPS_VALUES and node.input[0] in origin:
            origin[node.output[0]] = origin[node.input[0]]
    integers = {
        value.name
        for value in model.graph.input
        if (dtype := DType.from_onnx(value.type.tensor_type.elem_type)) is not None
        and not dtype.is_float
    }
    return {
        name: Domain(kind="integers", low=0, high=length)
        for name, length in found.items()
        if name in integers and length > 0
    }


def conditions(model: onnx.ModelProto) -> tuple[str, ...]:
    """Name the values that decide the graph's own If nodes."""
    constants = {tensor.name for tensor in model.graph.initializer}
    names = (node.input[0] for node in model.graph.node if node.op_type == "If")
    return tuple(dict.fromkeys(name for name in names if name not in constants))


def hidden_conditions(model: onnx.ModelProto) -> int:
    """Count the If nodes inside loops, branches and functions, which cannot be watched."""
    inner = [
        attribute.g
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.HasField("g")
    ]
    return sum(map(_ifs, inner)) + sum(_ifs(function) for function in model.functions)


def _ifs(graph: "onnx.GraphProto | onnx.FunctionProto") -> int:
    """Count the If nodes of a graph and of all graphs inside it."""
    return sum(
        (node.op_type == "If") + sum(_ifs(a.g) for a in node.attribute if a.HasField("g"))
        for node in graph.node
    )
