"""What the tables of kernels do not say: nodes that a kernel refuses, and nodes that need none."""

from collections.abc import Sequence
from typing import Any

from tritonforge.graph import cost
from tritonforge.graph.schemas import attributes
from tritonforge.graph.typed import Node
from tritonforge.kernels import kernels
from tritonforge.release import Release

_FIRST_BODY_UNTIL = (1, 16)
# In ONNX's schemas since the runtimes of the table were made, at the same version of the operator.
NEWER_ATTRIBUTES = {"Attention": {"left_window_size", "right_window_size"}}
_MODES = (b"bilinear", b"nearest", b"bicubic")  # of GridSample before its version 20


def has_first_body(release: Release) -> bool:
    """Say whether operators are written out as they first were, whatever the model's opset."""
    return release.minor <= _FIRST_BODY_UNTIL


def is_folded(node: Node) -> bool:
    """Say whether a node is a value before kernels are looked for: the shape of a fixed shape.

    Source: onnxruntime `constant_folding.cc`; it is on unless optimizations are off.
    """
    if node.op != "Shape" or not node.proto.input:
        return False
    known = node.scope.get(node.proto.input[0])
    if known is None or not known.tensor_type.HasField("shape"):
        return False
    return all(dim.HasField("dim_value") for dim in known.tensor_type.shape.dim)


def refused(node: Node, release: Release) -> str | None:
    """Say what a kernel on the CPU refuses when it is made, or an older schema before that.

    Source: onnxruntime `core/providers/cpu`, and measured by loading onnx's node models.
    """
    given = attributes(node.proto)
    text = None
    match node.op:
        case "LSTM" | "GRU" | "RNN" if given.get("layout"):
            text = f"{node.op} with layout 1, which no kernel takes"
        case "GridSample" if node.since < 20:
            text = _grid_sample(node, given, release)
        case "Pad" if given.get("mode") == b"wrap" and release.minor < (1, 16):
            text = "Pad with mode wrap, which ONNX Runtime takes from 1.16"
        case "DFT" if release.minor < (1, 25) and given.get("inverse") and given.get("onesided"):
            text = "DFT that is both inverse and onesided, which ONNX Runtime takes from 1.25"
        case "RotaryEmbedding" if release.minor == (1, 23) and given.get("rotary_embedding_dim"):
            text = None if given.get("num_heads") else "RotaryEmbedding without num_heads"
        case "StringNormalizer" if _needs_locale(given, release):
            text = "StringNormalizer, for which the image lacks the locale en_US.UTF-8"
    return text


def misread(node: Node, release: Release) -> str | None:
    """Say what an ONNX Runtime's own inference of shapes refuses, and ONNX's does not; measured."""
    if node.op != "TopK" or not (1, 24) <= release.minor <= (1, 27) or node.since < 10:
        return None
    if cost.shape(node.scope.get(node.proto.input[1])) != ():
        return None
    return "TopK with a K without dimensions, which it takes with one"


def _needs_locale(given: dict[str, Any], release: Release) -> bool:
    """Say whether it opens a locale, which images (and other small systems) do not have."""
    changes = given.get("case_change_action", b"NONE") != b"NONE"
    if release.minor < (1, 18):
        return True
    return changes and (release.minor >= (1, 27) or not given.get("is_case_sensitive"))


def fused(nodes: Sequence[Node], release: Release) -> str | None:
    """Say what the optimizer makes that no kernel runs: a MatMul of doubles after a Transpose.

    It becomes a FusedMatMul, which the CPU has for floats alone until 1.25; measured.
    """
    known = kernels(release.onnxruntime, "cpu", "com.microsoft", "FusedMatMul")
    if not known or any("double" in kernel.types["T"] for kernel in known):
        return None
    swapped = {
        node.proto.output[0]
        for node in nodes
        if node.op == "Transpose" and _swaps_last(attributes(node.proto).get("perm"))
    }
    for node in nodes:
        doubles = node.op == "MatMul" and node.types.get("T") == "double"
        if doubles and swapped & set(node.proto.input):
            return "MatMul of double after a Transpose, fused into a FusedMatMul without kernel"
    return None


def _swaps_last(perm: Sequence[int] | None) -> bool:
    """Say whether a permutation, by default the reverse one, exchanges the last two axes."""
    if perm is None:
        return True
    rank = len(perm)
    return rank >= 2 and [*perm[-2:]] == [rank - 1, rank - 2]


def _grid_sample(node: Node, given: dict[str, Any], release: Release) -> str | None:
    """Version 16 has its own names of modes, and took images alone at first."""
    if given.get("mode", b"bilinear") not in _MODES:
        return f"GridSample-16 with mode {given['mode'].decode()}"
    known = node.scope.get(node.proto.input[0])
    rank = len(known.tensor_type.shape.dim) if known is not None else 4
    if rank != 4 and release.minor < (1, 17):
        return "GridSample-16 of other than four dimensions, which ONNX Runtime takes from 1.17"
    return None
