"""What a node costs: floating-point operations and bytes, from the shapes that go in and come out."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from onnx import TensorProto, TypeProto, helper

from tritonforge.graph.schemas import attributes
from tritonforge.graph.typed import Node

Shape = tuple[int, ...]
_FREE = {
    *("Constant", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Shape"),
    *("Size", "Gather", "GatherND", "GatherElements", "Slice", "Concat", "Split", "Expand", "Tile"),
    *("Pad", "Cast", "CastLike", "ConstantOfShape", "Range", "If", "Loop", "Scan", "Dropout"),
    *("DepthToSpace", "SpaceToDepth", "ScatterND", "ScatterElements", "NonZero", "EyeLike"),
}
_HALF_BYTES = {TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1}


def flops(node: Node) -> int | None:
    """Return a node's floating-point operations, a multiply and an add as two; None if unknown.

    What only moves or names values costs none; what is computed element by element costs one an
    element. Nodes within branches and loops are counted once.
    """
    if node.op in _FREE:
        return 0
    shapes = [shape(node.scope.get(name)) for name in node.proto.input]
    made = [shape(node.scope.get(name)) for name in node.proto.output if name]
    if not made or None in made:
        return None
    count = _COUNTS.get(node.op)
    if count is None:
        first = shapes[0] if node.op.startswith(_REDUCING) and shapes else made[0]
        return None if first is None else prod(first)
    if any(each is None for name, each in zip(node.proto.input, shapes, strict=True) if name):
        return None
    known = [each if each is not None else () for each in shapes]
    return count(known, [each for each in made if each is not None], attributes(node.proto))


def shape(known: TypeProto | None) -> Shape | None:
    """Return the sizes of a tensor, None where one is not known."""
    if known is None or not known.tensor_type.HasField("shape"):
        return None
    dims = known.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        return None
    return tuple(dim.dim_value for dim in dims)


def size(known: TypeProto | None) -> int | None:
    """Return the bytes of a tensor, None where they are not known."""
    sizes = shape(known)
    if known is None or sizes is None or known.tensor_type.elem_type == TensorProto.STRING:
        return None
    return tensor_bytes(known.tensor_type.elem_type, prod(sizes))


def tensor_bytes(dtype: int, elements: int) -> int:
    """Return the bytes that elements of an ONNX type take."""
    if dtype in _HALF_BYTES:
        return (elements + 1) // 2
    return int(elements * helper.tensor_dtype_to_np_dtype(dtype).itemsize)


def _conv(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    """Every output element takes a kernel's worth of each input channel of its group."""
    del said
    weights = given[1]
    return 2 * prod(made[0]) * prod(weights[1:]) + (prod(made[0]) if len(given) > 2 else 0)


def _conv_transpose(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    """Every input element is spread over a kernel's worth of output channels of its group."""
    del said
    return 2 * prod(given[0]) * prod(given[1][1:]) + (prod(made[0]) if len(given) > 2 else 0)


def _matmul(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    del said
    return 2 * prod(made[0]) * (given[0][-1] if given[0] else 1)


def _gemm(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    inner = given[0][0] if said.get("transA") else given[0][-1]
    return 2 * prod(made[0]) * inner + (prod(made[0]) if len(given) > 2 else 0)


def _recurrent(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    """Each step multiplies the input and the state with their weights, in every direction."""
    del made
    steps, rows = given[0][:2] if not said.get("layout") else given[0][1::-1]
    return 2 * steps * rows * (prod(given[1]) + prod(given[2]))


def _pool(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    del given
    return prod(made[0]) * prod(said.get("kernel_shape", ()))


def _global(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    del made, said
    return prod(given[0])


def _times(factor: int) -> Callable[[list[Shape], list[Shape], Mapping[str, Any]], int]:
    """Count so many operations an output element."""
    return lambda given, made, said: factor * prod(made[0])


_REDUCING = ("Reduce", "ArgM", "Global")
_COUNTS: dict[str, Callable[[list[Shape], list[Shape], Mapping[str, Any]], int]] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "Gemm": _gemm,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global),
    # subtract, exponentiate, sum and divide; mean, difference, square, sum, root, scale and shift
    "Softmax": _times(4),
    "LogSoftmax": _times(4),
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization"), _times(7)),
    **dict.fromkeys(("GroupNormalization", "RMSNormalization"), _times(7)),
    "BatchNormalization": _times(2),
}
