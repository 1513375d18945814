"""What a node costs: floating-point operations and bytes, from the shapes of its values."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from onnx import TensorProto, TypeProto, helper

from tritonforge.graph.schemas import MAIN, attributes
from tritonforge.graph.typed import Node

Shape = tuple[int, ...]
STANDARD = {MAIN, "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"}
_FREE = {
    *("Constant", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Shape"),
    *("Size", "Gather", "GatherND", "GatherElements", "Slice", "Concat", "Split", "Expand", "Tile"),
    *("Pad", "Cast", "CastLike", "ConstantOfShape", "Range", "If", "Loop", "Scan", "Dropout"),
    *("DepthToSpace", "SpaceToDepth", "ScatterND", "ScatterElements", "NonZero", "EyeLike"),
}
_BITS: dict[
    int, int
] = {  # of the types of which a byte holds several; 25 and 26 are UINT2 and INT2 of new onnx
    **dict.fromkeys((TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1), 4),
    **dict.fromkeys((25, 26), 2),
}


def flops(node: Node) -> int | None:
    """Return a node's floating-point operations, a multiply and an add as two; None if unknown.

    What only moves or names values costs none; what is computed element by element costs one an
    element. What an operator outside ONNX costs is known of few.
    """
    counts = _COUNTS if node.domain in STANDARD else _CONTRIB
    if node.op in _FREE and node.domain in STANDARD:
        return 0
    shapes = [shape(node.scope.get(name)) for name in node.proto.input]
    made = [shape(node.scope.get(name)) for name in node.proto.output if name]
    if not made or made[0] is None or (node.op not in counts and counts is _CONTRIB):
        return None
    count = counts.get(node.op)
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
    if known is None or sizes is None:
        return None
    return tensor_bytes(known.tensor_type.elem_type, prod(sizes))


def size_of(tensor: TensorProto) -> int:
    """Return the bytes that a tensor takes; of texts those of their letters."""
    if tensor.data_type == TensorProto.STRING:
        return sum(map(len, tensor.string_data))
    return tensor_bytes(tensor.data_type, prod(tensor.dims)) or 0


def tensor_bytes(dtype: int, elements: int) -> int | None:
    """Return the bytes that elements of an ONNX type take, None of texts and unknown types."""
    if dtype in _BITS:
        return (elements * _BITS[dtype] + 7) // 8
    if dtype == TensorProto.STRING:
        return None
    try:
        return elements * int(helper.tensor_dtype_to_np_dtype(dtype).itemsize)
    except KeyError:
        return None


def _conv(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    """Every output element takes a kernel's worth of each input channel of its group."""
    del said
    weights = given[1]
    return 2 * prod(made[0]) * prod(weights[1:]) + (prod(made[0]) if len(given) > 2 else 0)


def _conv_transpose(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    """Every input element is spread over a kernel's worth of output channels of its group."""
    del said
    return 2 * prod(given[0]) * prod(given[1][1:]) + (prod(made[0]) if len(given) > 2 else 0)


def _quantized_conv(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    return _conv([given[0], given[3], *given[8:]], made, said)


def _matmul(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    if not given[0]:
        return 0
    return 2 * prod(made[0]) * given[0][-2 if said.get("transA") and len(given[0]) > 1 else -1]


def _gemm(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    return _matmul(given, made, said) + (prod(made[0]) if len(given) > 2 else 0)


def _einsum(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    """Every combination of the letters takes a multiply for each further input, and an add."""
    terms = said["equation"].decode().replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, sizes_given in zip(terms, given, strict=True):
        if "." in term:  # a batch, which is in the output too
            term = term.replace("...", "")  # noqa: PLW2901
            sizes["..."] = max(sizes.get("...", 1), prod(sizes_given[: -len(term) or None]))
        sizes |= dict(zip(term, sizes_given[-len(term) :], strict=True))
    return max(prod(sizes.values()) * 2 * (len(given) - 1), prod(made[0]))


def _attention(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    """Every query is multiplied with every key, and that with every value."""
    del made, said
    past = given[4][-2] if len(given) > 4 and given[4] else 0
    return 4 * prod(given[0]) * (given[1][-2] + past)


def _recurrent(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    """Each step multiplies the input and the state with their weights, in every direction."""
    del made
    steps, rows = given[0][:2] if not said.get("layout") else given[0][1::-1]
    return 2 * steps * rows * (prod(given[1]) + prod(given[2]))


def _pool(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    del given
    return prod(made[0]) * prod(map(int, said.get("kernel_shape", ())))


def _global(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
    del made, said
    return prod(given[0])


def _times(factor: int) -> "_Count":
    """Count so many operations an output element."""

    def count(given: list[Shape], made: list[Shape], said: Mapping[str, Any]) -> int:
        del given, said
        return factor * prod(made[0])

    return count


_REDUCING = ("Reduce", "ArgM", "Global", "Quantize", "DynamicQuantize")
_Count = Callable[[list[Shape], list[Shape], Mapping[str, Any]], int]
_COUNTS: dict[str, _Count] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "QLinearConv": _quantized_conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "Attention": _attention,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global),
    # subtract, exponentiate, sum and divide; mean, difference, square, sum, root, scale and shift
    "Softmax": _times(4),
    "LogSoftmax": _times(4),
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization"), _times(7)),
    **dict.fromkeys(("GroupNormalization", "RMSNormalization"), _times(7)),
    "SimplifiedLayerNormalization": _times(7),  # ONNX Runtime's own, in ONNX's domain
    "BatchNormalization": _times(2),
}
_CONTRIB: dict[str, _Count] = {  # ONNX Runtime's own, as far as optimizers write them
    "FusedConv": _conv,
    "FusedGemm": _gemm,
    "FusedMatMul": _matmul,
    **dict.fromkeys(("Gelu", "FastGelu", "QuickGelu"), _times(1)),
    "BiasGelu": _times(2),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _times(8)),
}
