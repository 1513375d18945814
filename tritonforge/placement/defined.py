"""What ONNX Runtime refuses of a node by its operator's schema, before it looks for kernels.

The schema is ONNX's, or of ONNX Runtime's own operators that of the release. Source: `graph.cc`
(VerifyNodeAndOpMatch, InferAndVerifyTypeMatch).
"""

from typing import Any

from onnx import defs

from tritonforge.graph import contrib
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import Node, UnsoundError, type_of
from tritonforge.kernels import Kernel, kernels
from tritonforge.placement import exceptions
from tritonforge.release import Release

_SINGLE = defs.OpSchema.FormalParameterOption.Single
_VARIADIC = defs.OpSchema.FormalParameterOption.Variadic


def is_defined(node: Node, release: Release) -> None:
    """Refuse an operator, attribute or number of inputs that its opset does not have."""
    if node.op == "Constant":  # taken as a value before anything is looked up
        return
    known = _schema(node, release)
    if known is None:
        if node.domain == MAIN or not _own(node, release):
            raise UnsoundError(f"no operator {node.op} at opset {node.opset} of {node.domain}")
        return
    what = f"{node.op} at opset {node.opset}"
    _has_its_attributes(node, known, what)
    if node.schema is None and node.domain == MAIN:
        return  # of those in ONNX's domain ONNX Runtime does not count what goes in; measured
    given, made = len(node.proto.input), len(node.proto.output)
    if not known.min_input <= given <= known.max_input:
        raise UnsoundError(f"{what} does not take {given} inputs")
    if not known.min_output <= made <= known.max_output:
        raise UnsoundError(f"{what} does not give {made} outputs")
    for formal, name in zip(known.inputs, node.proto.input, strict=False):
        if not name and formal.option == _SINGLE:
            raise UnsoundError(f"{what} needs its input {formal.name}")


def _has_its_attributes(node: Node, known: Any, what: str) -> None:
    """Refuse attributes that an operator does not have or needs, and those of another type."""
    given = {each.name: each for each in node.proto.attribute}
    if len(given) < len(node.proto.attribute):
        raise UnsoundError(f"{what} has an attribute twice")
    for name, each in given.items():
        newer = name in exceptions.NEWER_ATTRIBUTES.get(node.op, ())
        if newer or name not in known.attributes:
            raise UnsoundError(f"{what} has no attribute {name}")
        if each.type and each.type != known.attributes[name].type:
            raise UnsoundError(f"{what} has an attribute {name} of another type")
    for name, wanted in known.attributes.items():
        if wanted.required and name not in given:
            raise UnsoundError(f"{what} needs its attribute {name}")


def has_its_types(node: Node, release: Release) -> None:
    """Refuse a type that the operator does not take, and two where it wants one."""
    known = _schema(node, release)
    if known is None:
        return
    bound: dict[str, str] = {}
    for index, name in enumerate(node.proto.input):
        written = type_of(node.scope[name]) if name in node.scope else None
        if written is None or not known.inputs:
            continue
        formal = known.inputs[min(index, len(known.inputs) - 1)]
        if (written if "(" in written else f"tensor({written})") not in formal.types:
            raise UnsoundError(f"{node.op}-{node.since} does not take {written} for {formal.name}")
        if formal.option == _VARIADIC and not formal.is_homogeneous:
            continue
        if bound.setdefault(formal.type_str, written) != written:
            raise UnsoundError(f"{node.op}-{node.since} does not take several types at once")


def _schema(node: Node, release: Release) -> Any | None:
    """Return what a node is held against: ONNX's word, or ONNX Runtime's for its own operators."""
    if node.schema is not None:
        return contrib.standard(node.domain, node.op, node.opset)
    return contrib.schema(release.onnxruntime, node.domain, node.op, node.opset)


def _own(node: Node, release: Release) -> tuple[Kernel, ...]:
    """Return the kernels of an operator that is ONNX Runtime's own, also in ONNX's domain."""
    found = kernels(release.onnxruntime, "cpu", node.domain, node.op)
    return tuple(kernel for kernel in found if kernel.covers(1))
