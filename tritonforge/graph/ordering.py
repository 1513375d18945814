"""The order of a graph's nodes: ONNX asks that a value is made before it is read."""

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


def sort(graph: GraphProto) -> None:
    """Bring the nodes of a graph, and of those in it, into such an order, in place.

    ONNX Runtime does so with a file that is not, too. A graph with a cycle stays as it is, and so
    does one that is in order.
    """
    for proto in graph.node:
        for inner in graphs_in(proto):
            sort(inner)
    made = {name: index for index, proto in enumerate(graph.node) for name in proto.output if name}
    before = {
        index: {made[name] for name in reads(proto) if name in made} - {index}
        for index, proto in enumerate(graph.node)
    }
    if all(index > max(needed, default=-1) for index, needed in before.items()):
        return
    try:
        order = [*TopologicalSorter(before).static_order()]
    except CycleError:
        return
    kept = [NodeProto.FromString(graph.node[index].SerializeToString()) for index in order]
    del graph.node[:]
    graph.node.extend(kept)
