"""What the tables of kernels do not say: nodes that a kernel refuses, and nodes that need none."""

from typing import Any

from onnx import TypeProto

from tritonforge.graph import cost
from tritonforge.graph.schemas import attributes
from tritonforge.graph.typed import Node, type_of
from tritonforge.kernels import kernels
from tritonforge.release import Release

_FIRST_BODY_UNTIL = (1, 16)
# In ONNX's schemas since the runtimes of the table were made, at the same version of the operator.
NEWER_ATTRIBUTES = {"Attention": {"left_window_size", "right_window_size"}}
# Of GridSample before its version 20, and since.
_OLD_MODES = (b"bilinear", b"nearest", b"bicubic")
_MODES = (b"linear", b"nearest", b"cubic")


def has_first_body(release: Release) -> bool:
    """Say whether operators are written out as they first were, whatever the model's opset."""
    return release.minor <= _FIRST_BODY_UNTIL


def needs_none(node: Node) -> bool:
    """Say whether the optimizer takes a node out before kernels are looked for.

    The shape of a fixed shape is a value then, and what an Identity names is used in its place.
    Sources: onnxruntime `constant_folding.cc`, `eliminate_identity.cc`; both are on unless
    optimizations are off.
    """
    match node.op:
        case "Shape" if node.proto.input:
            return cost.shape(node.scope.get(node.proto.input[0])) is not None
        case "Identity" if node.proto.input and node.proto.output:
            return _is_removed(node)
    return False


def _is_removed(node: Node) -> bool:
    """Say whether an Identity goes; one that gives an output of its graph may be what makes it."""
    name, made = node.proto.input[0], node.proto.output[0]
    outputs = {value.name for value in node.graph.output}
    if made not in outputs:
        return True
    if name in outputs or not any(name in other.output for other in node.graph.node):
        return False
    read = [each for other in node.graph.node for each in other.input]
    return made not in read and read.count(name) == 1


def refused(node: Node, release: Release, *, gpu: bool = False) -> str | None:
    """Say what a kernel on the CPU refuses when it is made, or an older schema before that.

    With `gpu` a kernel of CUDA's. Source: onnxruntime `core/providers`, and measured by loading
    onnx's node models.
    """
    given = attributes(node.proto)
    text = None
    match node.op:
        case "LSTM" | "GRU" | "RNN" if given.get("layout"):
            text = f"{node.op} with layout 1, which no kernel takes"
        case "GridSample":
            text = _grid_sample(node, given, release)
        case _ if gpu:
            pass
        case "Pad" if given.get("mode") == b"wrap" and release.minor < (1, 16):
            text = "Pad with mode wrap, which ONNX Runtime takes from 1.16"
        case "DFT" if release.minor < (1, 25) and given.get("inverse") and given.get("onesided"):
            text = "DFT that is both inverse and onesided, which ONNX Runtime takes from 1.25"
        case "MatMulNBits":
            text = _of_bits(given.get("bits", 4), release)
        case "RotaryEmbedding" if release.minor == (1, 23) and given.get("rotary_embedding_dim"):
            text = None if given.get("num_heads") else "RotaryEmbedding without num_heads"
        case "LayerNormalization" if node.schema is None:
            text = _own_normalization(node, given, release)
        case "StringNormalizer" if _needs_locale(given, release):
            text = "StringNormalizer, for which the image lacks the locale en_US.UTF-8"
    return text


def _of_bits(bits: int, release: Release) -> str | None:
    """Only the first release with it took any number, those after it more and more; measured."""
    taken = (4,) if release.minor < (1, 22) else (4, 8) if release.minor < (1, 24) else (2, 4, 8)
    if bits in taken or release.minor <= (1, 16):
        return None
    return f"MatMulNBits with bits {bits}, of which it takes {', '.join(map(str, taken))}"


def misread(node: Node, release: Release) -> str | None:
    """Say what an ONNX Runtime's own inference of shapes refuses, and ONNX's does not; measured."""
    if node.op != "TopK" or not (1, 24) <= release.minor <= (1, 27) or node.since < 10:
        return None
    if cost.shape(node.scope.get(node.proto.input[1])) != ():
        return None
    return "TopK with a K without dimensions, which it takes with one"


def _own_normalization(node: Node, given: dict[str, Any], release: Release) -> str | None:
    """Without a kernel it stands as its body, whose Flatten counts from the front until opset 11.

    Source: onnxruntime `contrib_defs.cc`.
    """
    known = kernels(release.onnxruntime, "cpu", node.domain, node.op)
    halves = type_of(node.scope.get(node.proto.input[0], TypeProto())) == "float16"
    halves = halves and not any(
        "float16" in kernel.types["T"] for kernel in known if kernel.covers(1)
    )
    if halves and node.opset < 11 and given.get("axis", -1) < 0:
        return "LayerNormalization of float16 with a negative axis, which wants opset 11"
    return None


def _needs_locale(given: dict[str, Any], release: Release) -> bool:
    """Say whether it opens a locale, which images (and other small systems) do not have."""
    changes = given.get("case_change_action", b"NONE") != b"NONE"
    if release.minor < (1, 18):
        return True
    return changes and (release.minor >= (1, 27) or not given.get("is_case_sensitive"))


def _grid_sample(node: Node, given: dict[str, Any], release: Release) -> str | None:
    """Each version has its own names of modes, and 16 took images alone at first."""
    modes = _OLD_MODES if node.since < 20 else _MODES
    if given.get("mode", modes[0]) not in modes:
        return f"GridSample-{node.since} with mode {given['mode'].decode()}"
    known = node.scope.get(node.proto.input[0])
    rank = len(known.tensor_type.shape.dim) if known is not None else 4
    if rank != 4 and node.since == 16 and release.minor < (1, 17):
        return "GridSample-16 of other than four dimensions, which ONNX Runtime takes from 1.17"
    return None
