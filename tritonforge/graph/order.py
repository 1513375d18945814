"""Which node of a graph needs which, and whether there is an order in which they can run."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from onnx import GraphProto, NodeProto

from tritonforge.graph.schemas import graphs_in


def reads(proto: NodeProto) -> Iterator[str]:
    """Yield the values that a node reads, within its subgraphs too."""
    yield from filter(None, proto.input)
    for graph in graphs_in(proto):
        for inner in graph.node:
            yield from reads(inner)


def order(graph: GraphProto) -> list[NodeProto]:
    """Return the nodes in an order in which each value is made before it is read.

    Raises `graphlib.CycleError`.
    """
    return [graph.node[index] for index in TopologicalSorter(_needed(graph)).static_order()]


def cycle(graph: GraphProto) -> tuple[str, ...]:
    """Name the operators of a cycle, the first again at its end; nothing where there is none."""
    try:
        order(graph)
    except CycleError as error:
        return tuple(graph.node[index].op_type for index in error.args[1])
    return ()


def _needed(graph: GraphProto) -> dict[int, set[int]]:
    """Return the nodes whose values each node reads, by their places.

    What a graph within a node reads of that node's own name is its own value.
    """
    made = {name: index for index, proto in enumerate(graph.node) for name in proto.output}
    needed = {}
    for index, proto in enumerate(graph.node):
        own = {index} - {made.get(name) for name in proto.input}
        needed[index] = {made[name] for name in reads(proto) if name in made} - own
    return needed
