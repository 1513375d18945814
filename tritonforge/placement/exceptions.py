"""What the tables of kernels do not say: nodes that a kernel refuses, and nodes that need none."""

from typing import Any

from tritonforge.placement.schemas import attributes
from tritonforge.placement.typed import Node
from tritonforge.release import Release

_WRAP_SINCE = (1, 16)  # Pad's mode
_MODES = (b"bilinear", b"nearest", b"bicubic")  # of GridSample before its version 20


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
    match node.op:
        case "LSTM" | "GRU" | "RNN" if given.get("layout"):
            return f"{node.op} with layout 1, which no kernel takes"
        case "GridSample" if node.since < 20:
            return _grid_sample(node, given, release)
        case "Pad" if given.get("mode") == b"wrap" and _minor(release) < _WRAP_SINCE:
            return "Pad with mode wrap, which ONNX Runtime takes from 1.16"
        case "DFT" if node.since < 20 and given.get("inverse") and given.get("onesided"):
            return "DFT that is both inverse and onesided"
        case "StringNormalizer" if given.get("case_change_action", b"NONE") != b"NONE":
            return "StringNormalizer that changes case, for which the image lacks the locale"
    return None


def _grid_sample(node: Node, given: dict[str, Any], release: Release) -> str | None:
    """Version 16 has its own names of modes, and took images alone until 1.16."""
    if given.get("mode", b"bilinear") not in _MODES:
        return f"GridSample-16 with mode {given['mode'].decode()}"
    known = node.scope.get(node.proto.input[0])
    rank = len(known.tensor_type.shape.dim) if known is not None else 4
    if rank != 4 and _minor(release) < _WRAP_SINCE:
        return "GridSample-16 of other than four dimensions, which ONNX Runtime takes from 1.16"
    return None


def _minor(release: Release) -> tuple[int, ...]:
    return tuple(int(part) for part in release.onnxruntime.split(".")[:2])
