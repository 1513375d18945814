"""Which node of a graph needs which: ONNX asks that a value is made before it is read."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from onnx import GraphProto, NodeProto

from tritonforge.graph.schemas import graphs_in


def reads(proto: NodeProto) -> Iterator[str]:
    """Yield the values that a node reads, within its subgraphs too, but for what they make."""
    yield from filter(None, proto.input)
    for graph in graphs_in(proto):
        own = {each.name for each in (*graph.input, *graph.initializer)}
        own.update(name for inner in graph.node for name in inner.output)
        for inner in graph.node:
            yield from (name for name in reads(inner) if name not in own)


def sort(graph: GraphProto) -> bool:
    """Bring the nodes of a graph, and of those in it, into such an order, in place.

    ONNX Runtime does so too. A graph with a cycle stays as it is. Say whether any was changed.
    """
    changed = [sort(inner) for proto in graph.node for inner in graphs_in(proto)]
    needed = _needed(graph)
    if all(index > max(before, default=-1) for index, before in needed.items()):
        return any(changed)
    try:
        order = [*TopologicalSorter(needed).static_order()]
    except CycleError:
        return any(changed)
    kept = [NodeProto.FromString(graph.node[index].SerializeToString()) for index in order]
    del graph.node[:]
    graph.node.extend(kept)
    return True


def cycle(graph: GraphProto) -> tuple[str, ...]:
    """Name the operators of a cycle, the first again at its end; nothing where there is none."""
    try:
        TopologicalSorter(_needed(graph)).prepare()
    except CycleError as error:
        return tuple(graph.node[index].op_type for index in error.args[1])
    return ()


def _needed(graph: GraphProto) -> dict[int, set[int]]:
    """Return the nodes whose values each node reads, by their places.

    What a graph within a node reads of that node's own name is its own value.
    """
    made = {name: index for index, proto in enumerate(graph.node) for name in proto.output if name}
    needed = {}
    for index, proto in enumerate(graph.node):
        own = {index} - {made.get(name) for name in proto.input}
        needed[index] = {made[name] for name in reads(proto) if name in made} - own
    return needed
