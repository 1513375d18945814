"""Which names are operators at all: of ONNX at any opset, of ONNX Runtime, or of a model."""

from difflib import get_close_matches
from functools import cache

from onnx import ModelProto, defs

from tritonforge.kernels import Provider, kernels
from tritonforge.placement.verdict import read
from tritonforge.release import Release

_CONTRIB = "com.microsoft"
_PROVIDERS: tuple[Provider, ...] = ("cpu", "cuda")


def is_known(op: str, release: Release) -> bool:
    """Say whether ONNX, or the release's ONNX Runtime, has an operator of this name."""
    runtime = release.onnxruntime
    return op in _defined() or any(kernels(runtime, each, _CONTRIB, op) for each in _PROVIDERS)


def is_in(op: str, model: ModelProto) -> bool:
    """Say whether a model has a node or a function of this name, whoever defines it."""
    return op in {node.op for node in read(model).written} | {each.name for each in model.functions}


def nearest(op: str) -> str | None:
    """Return the operator of ONNX that is written most like this, None where none is near."""
    plain = {name.lower(): name for name in sorted(_defined())}
    near = get_close_matches(op.lower(), plain, n=1)
    return plain[near[0]] if near else None


@cache
def _defined() -> frozenset[str]:
    """Return the names of all that ONNX has ever defined."""
    return frozenset(known.name for known in defs.get_all_schemas_with_history())
