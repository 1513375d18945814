"""Where the nodes of a file land, as far as a rule asks: cheaply, as they are in the file.

The optimizations of ONNX Runtime are not run before, so that a node may be told that it would take
away; `tritonforge place` runs them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from tritonforge import placement
from tritonforge.graph.typed import UnsoundError
from tritonforge.placement import Placed, Read
from tritonforge.release import Release
from tritonforge.spec import Accelerator

_HALF = "float16"
_TAKEN_AWAY = {"Dropout", "Identity"}  # what an optimization surely removes


def landing(
    given: Read, release: Release, accelerator: Accelerator
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Count the operators that a GPU leaves to the CPU, and those that the CPU computes wider.

    A shape that CUDA's own provider computes on the host is not left.
    """
    nodes = _placed(given, release, accelerator)
    on_cpu = [each for each in nodes if each.provider == "cpu" and not each.hosted]
    left = on_cpu if accelerator != "cpu" else []
    return _counted(left), _counted([each for each in on_cpu if each.widened])


def _placed(given: Read, release: Release, accelerator: Accelerator) -> tuple[Placed, ...]:
    """Place the nodes; nothing where that cannot be told, or for a CPU that has no half floats."""
    graph = given.resolved
    if graph is None or (accelerator == "tensorrt" and release.parser is None):
        return ()
    if accelerator == "cpu" and not any(_HALF in each.types.values() for each in graph.nodes):
        return ()
    try:
        found = placement.predict(graph, release, accelerator, lambda _: defaultdict(lambda: None))
    except UnsoundError:
        return ()
    return found.nodes


def _counted(nodes: list[Placed]) -> Mapping[str, int]:
    """Count operators, the most frequent first."""
    names = (each.op for each in nodes if each.op not in _TAKEN_AWAY)
    return dict(Counter(names).most_common())
