"""Whether a graph's weights have as many values as their shapes take, without reading the values.

Of one that nothing reads ONNX Runtime takes any number; it may drop what only a shape or a type is
read of, a branch that is never taken, and what a function of the model does not use. How many
numbers there were in a field other than `raw_data` is not known where they were left out.

Source: microsoft/onnxruntime, `tensorprotoutils.cc` (UnpackTensor).
"""

from math import prod

from onnx import ModelProto, TensorProto, helper

from tritonforge.graph import bounds, cost, lean
from tritonforge.graph.external import is_external
from tritonforge.graph.schemas import MAIN

_NO_VALUES = {"CastLike", "Shape", "Size"}  # they read none of what they are given
_MOST = 2**63 - 1


def misfit(model: ModelProto) -> str | None:
    """Say which tensor that a node of a model reads has not the values that its shape takes."""
    held = {each.name: each for each in model.graph.initializer}  # of two of a name the last counts
    for node in model.graph.node:
        if node.op_type == "Constant" and (node.domain or MAIN) == MAIN:
            tensors = [each.t for each in node.attribute if each.name == "value"]
            held.update(zip(node.output, tensors, strict=False))
    functions = {(each.domain, each.name) for each in model.functions}
    read = {
        name
        for node in model.graph.node
        if node.op_type not in _NO_VALUES and (node.domain, node.op_type) not in functions
        for name in node.input
        if name
    }
    for name, tensor in held.items():
        if name in read and (fault := _fault(tensor)) is not None:
            return f"the shape of its tensor {name!r} {fault}"
    return None


def _fault(tensor: TensorProto) -> str | None:
    """Say how many values a tensor's shape takes, where it does not have them."""
    if is_external(tensor) or len(tensor.dims) > bounds.MOST_DIMS:
        return None
    if min(tensor.dims, default=0) < 0:
        return "has a dimension below 0"
    if (elements := prod(tensor.dims)) > _MOST:
        return "takes more values than there can be"
    wanted = cost.tensor_bytes(tensor.data_type, elements)
    thin, raw = lean.left_out(tensor)
    if tensor.HasField("raw_data"):
        raw = len(tensor.raw_data)
    if raw is not None and wanted is not None:
        return None if raw == wanted else f"takes {wanted} bytes, but it has {raw}"
    if thin or (counted := _counted(tensor, elements, wanted)) is None:
        return None
    count, needed = counted
    return None if count == needed else f"takes {needed} values, but it has {count}"


def _counted(tensor: TensorProto, elements: int, wanted: int | None) -> tuple[int, int] | None:
    """Return how many numbers or texts a tensor has and needs; None for an unknown type."""
    try:
        field = helper.tensor_dtype_to_field(tensor.data_type)
    except KeyError:
        return None
    if tensor.data_type in {TensorProto.COMPLEX64, TensorProto.COMPLEX128}:
        elements *= 2
    elif wanted is not None and wanted < elements:  # of a type of which a byte holds several
        elements = wanted
    return len(getattr(tensor, field)), elements
