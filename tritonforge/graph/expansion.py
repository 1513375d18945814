"""How many nodes the functions of a model stand for: a short file may hold more than any memory."""

from collections.abc import Iterable, Iterator, Mapping

from onnx import FunctionProto, ModelProto, NodeProto

from tritonforge.graph.schemas import every_graph, graphs_in

MOST = 50_000
_DEEPEST = 100  # functions in functions

_Key = tuple[str, str]


def is_bounded(model: ModelProto) -> bool:
    """Say whether a model with its own functions put in has no more than `MOST` nodes."""
    functions = {(each.domain, each.name): each for each in model.functions}
    known: dict[_Key, int] = {}
    return sum(_size(node, functions, known, ()) for node in _every(model.graph.node)) <= MOST


def _size(
    node: NodeProto,
    functions: Mapping[_Key, FunctionProto],
    known: dict[_Key, int],
    around: tuple[_Key, ...],
) -> int:
    """Count the nodes that a node stands for; one that holds itself is refused elsewhere."""
    key = (node.domain, node.op_type)
    if key not in functions or key in around:
        return 1
    if len(around) > _DEEPEST:
        return MOST + 1
    if key not in known:
        inner = _every(functions[key].node)
        found = sum(_size(each, functions, known, (*around, key)) for each in inner)
        known[key] = min(found, MOST + 1)
    return known[key]


def _every(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield nodes, and those of the graphs in them."""
    for node in nodes:
        yield node
        for graph in graphs_in(node):
            for each in every_graph(graph):
                yield from each.node
