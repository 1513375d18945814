"""What the nodes of a model cost at given sizes."""

from collections.abc import Mapping

from onnx import ModelProto, TypeProto

from tritonforge.errors import GraphError
from tritonforge.graph import cost
from tritonforge.graph.optimized import optimized, types_of
from tritonforge.graph.sizes import fixed
from tritonforge.graph.typed import Resolved, UnsoundError, resolved


def costs(given: Resolved, sizes: Mapping[str, int]) -> dict[int, int | None]:
    """Return the floating-point operations of each node by its `id`; None where unknown.

    `sizes` gives dynamic dimensions by name, all others are 1. Where the shapes that a graph
    computes cannot be followed, ONNX Runtime is asked to fold them.
    """
    sized = fixed(given.model, sizes)
    found = _counted(given, sized, {})
    if None not in found.values():
        return found
    try:
        known = types_of(optimized(sized))
    except (GraphError, UnsoundError):
        return found
    return _counted(given, sized, known)


def _counted(
    given: Resolved, sized: ModelProto, known: Mapping[str, TypeProto]
) -> dict[int, int | None]:
    """Count with what is known of shapes."""
    same = resolved(sized, known=known).nodes
    return {id(node): cost.flops(other) for node, other in zip(given.nodes, same, strict=True)}
