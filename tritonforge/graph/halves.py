"""Half floats shown as doubles, for ONNX Runtime's CPU has few kernels for them."""

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, TensorProto, TypeProto, helper, numpy_helper

from tritonforge.graph.schemas import every_graph
from tritonforge.graph.typed import is_hollow

_HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
_TYPED = {"to", "dtype", "output_dtype"}  # attributes that name an element type


def half_of(model: ModelProto) -> int | None:
    """Return the half float that a model computes with; None without one, or beside doubles."""
    used = {each for graph in every_graph(model.graph) for each in _types(graph)}
    if TensorProto.DOUBLE in used:
        return None
    found = [half for half in _HALVES if half in used]
    return found[0] if len(found) == 1 else None


def swap(graph: GraphProto, old: int, new: int) -> None:
    """Put one element type in the place of another, in a graph and the graphs in it."""
    for each in every_graph(graph):
        for holder in _holders(each):
            if holder.elem_type == old:
                holder.elem_type = new
        for tensor in _tensors(each):
            if tensor.data_type == old:
                tensor.CopyFrom(_converted(tensor, new))
        for node in each.node:
            for attribute in node.attribute:
                if attribute.name in _TYPED and attribute.i == old:
                    attribute.i = new


def _types(graph: GraphProto) -> Iterator[int]:
    """Yield the element types of a graph's values and tensors."""
    yield from (holder.elem_type for holder in _holders(graph))
    yield from (tensor.data_type for tensor in _tensors(graph))


def _holders(graph: GraphProto) -> Iterator[TypeProto.Tensor]:
    """Yield what states the element type of a value."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.HasField("tensor_type"):
            yield value.type.tensor_type


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Yield weights and the tensors in attributes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def _converted(tensor: TensorProto, new: int) -> TensorProto:
    """Return a tensor of another element type, its values rounded where it has any."""
    if is_hollow(tensor):
        return TensorProto(name=tensor.name, dims=tensor.dims, data_type=new)
    values: Any = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(new))
    return numpy_helper.from_array(values, tensor.name)
