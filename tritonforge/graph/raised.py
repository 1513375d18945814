"""Large tensors inside a graph as weights of it: whoever leaves out values looks for them there."""

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from tritonforge.graph.schemas import MAIN, graphs_in
from tritonforge.graph.typed import dense, is_hollow


def raise_weights(model: ModelProto) -> None:
    """Make weights of the main graph of all tensors without values, and of sparse ones, in place.

    Those are Constants, and weights of subgraphs, which see what is around them. A name that is
    taken stays where it is.
    """
    taken = {tensor.name for tensor in model.graph.initializer}
    for graph in _graphs(model.graph):
        for index in reversed(range(len(graph.node))):
            node = graph.node[index]
            if node.op_type != "Constant" or (node.domain or MAIN) != MAIN or not node.attribute:
                continue
            tensor = _held(node.attribute[0])
            if is_hollow(tensor) and node.output[0] not in taken:
                taken.add(node.output[0])
                model.graph.initializer.append(tensor)
                model.graph.initializer[-1].name = node.output[0]
                del graph.node[index]
        if graph is not model.graph:
            _raise_inner(graph, model.graph, taken)


def hides_values(model: ModelProto) -> bool:
    """Say whether values were left out elsewhere than in weights of the main graph.

    They are then in attributes, functions, or in subgraphs under a name that is taken. A session
    would refuse the model for want of them.
    """
    held = [*_tensors(model.graph.node)]
    held += [each for function in model.functions for each in _tensors(function.node)]
    return any(map(is_hollow, held))


def _tensors(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    """Yield the tensors in nodes, those of the graphs in them too."""
    for node in nodes:
        for each in node.attribute:
            yield from (*([each.t] if each.HasField("t") else ()), *each.tensors)
            yield from ([each.sparse_tensor.values] if each.HasField("sparse_tensor") else ())
        for graph in graphs_in(node):
            yield from (*graph.initializer, *(each.values for each in graph.sparse_initializer))
            yield from _tensors(graph.node)


def _held(attribute: AttributeProto) -> TensorProto:
    """Return the tensor of a Constant, a sparse one without its values."""
    return dense(attribute.sparse_tensor) if attribute.HasField("sparse_tensor") else attribute.t


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
