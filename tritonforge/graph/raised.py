"""Large tensors inside a graph as weights of it: whoever leaves out values looks for them there."""

from collections.abc import Iterator

from onnx import GraphProto, ModelProto

from tritonforge.graph.schemas import MAIN, graphs_in
from tritonforge.graph.typed import is_hollow


def raise_weights(model: ModelProto) -> None:
    """Make weights of the main graph of all tensors without values, in place.

    Those are Constants, and weights of subgraphs, which see what is around them. A name that is
    taken stays where it is.
    """
    taken = {tensor.name for tensor in model.graph.initializer}
    for graph in _graphs(model.graph):
        for index in reversed(range(len(graph.node))):
            node = graph.node[index]
            if node.op_type != "Constant" or (node.domain or MAIN) != MAIN or not node.attribute:
                continue
            if is_hollow(node.attribute[0].t) and node.output[0] not in taken:
                taken.add(node.output[0])
                model.graph.initializer.append(node.attribute[0].t)
                model.graph.initializer[-1].name = node.output[0]
                del graph.node[index]
        if graph is not model.graph:
            _raise_inner(graph, model.graph, taken)


def _raise_inner(graph: GraphProto, main: GraphProto, taken: set[str]) -> None:
    """Move the weights of a subgraph."""
    for index in reversed(range(len(graph.initializer))):
        tensor = graph.initializer[index]
        if is_hollow(tensor) and tensor.name not in taken:
            taken.add(tensor.name)
            main.initializer.append(tensor)
            del graph.initializer[index]


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield a graph and those in it, the innermost first."""
    for node in graph.node:
        for inner in graphs_in(node):
            yield from _graphs(inner)
    yield graph
