"""Where ONNX Runtime 1.23 to 1.27 fails: layer normalizations of half floats, written out.

The CPU computes them in float, and gets one Cast for all exponents that are the same. Fusing the
first of them (`layer_norm_fusion.cc`) takes that from the others. Measured by loading graphs of all
sorts of such parts: it fails where one that subtracts the mean stands beside another Pow, or a lone
one without does. From opset 17 those that subtract the mean become one operator before.
"""

from collections import Counter
from collections.abc import Sequence

from tritonforge.graph.typed import Node, type_of
from tritonforge.placement.fusions import Graph, linked
from tritonforge.release import Release

_FAILING = ((1, 23), (1, 27))
_AS_ONE_FROM = 17
_CHAIN = ("ReduceMean", "Add", "Sqrt", "Div", "Mul")


def fault(nodes: Sequence[Node], release: Release) -> str | None:
    """Say that it fails, None where it does not; nodes as basic optimizations leave them."""
    if not _FAILING[0] <= release.minor <= _FAILING[1]:
        return None
    powers = [node for node in nodes if node.op == "Pow" and _is_half(node)]
    if len(powers) < 2:
        return None
    graph = linked(nodes)
    for same in _by_exponent(powers):
        kinds = Counter(_kind(graph, node) for node in same)
        centred, plain = kinds["centred"], kinds["plain"]
        if len(same) > 1 and (centred or (plain == 1 and len(same) > plain)):
            return "layer normalizations of float16 as Pow, Sqrt and Div, at whose fusion it fails"
    return None


def _is_half(node: Node) -> bool:
    """Say whether both the base and the exponent are half floats."""
    types = [type_of(node.scope[name]) for name in node.proto.input if name in node.scope]
    return types == ["float16", "float16"]


def _by_exponent(powers: Sequence[Node]) -> Sequence[Sequence[Node]]:
    """Group nodes by the value of their exponent: ONNX Runtime makes equal ones the same."""
    groups: dict[bytes | str, list[Node]] = {}
    for node in powers:
        name = node.proto.input[1]
        known = (each for each in node.graph.initializer if each.name == name)
        value = next((each.raw_data for each in known), b"")
        groups.setdefault(value or name, []).append(node)
    return tuple(groups.values())


def _kind(graph: Graph, node: Node) -> str:
    """Say whether a Pow begins a normalization: `centred`, `plain`, or `alone`."""
    base, last = node.proto.input[0], node
    for op in _CHAIN:
        after = graph.only_reader(last)
        if after is None or after.op != op or (op == "Div" and after.proto.input[0] != base):
            return "alone"
        last = after
    shifted = graph.only_reader(last)
    if graph.maker(base, "Sub") is None or shifted is None or shifted.op != "Add":
        return "plain"
    return "centred" if node.opset < _AS_ONE_FROM else "alone"
