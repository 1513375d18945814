"""Whether a model can be made one of half floats, and what is done to it before."""

import numpy as np
from onnx import GraphProto, ModelProto, numpy_helper

from tritonforge.errors import GraphError
from tritonforge.graph import cost
from tritonforge.graph.external import tensors
from tritonforge.graph.file import LARGEST_PROTOBUF, first_line
from tritonforge.graph.halved.halving import FLOAT, untyped, wants_wide_scales
from tritonforge.graph.naming import name_nodes
from tritonforge.graph.ordering import sort
from tritonforge.graph.schemas import MAIN, attributes, every_graph
from tritonforge.graph.typed import (
    Node,
    Resolved,
    is_hollow,
    resolved,
    type_of,
    with_functions_put_in,
)


def fits(model: ModelProto) -> None:
    """Raise `GraphError` for weights that are too many, be they read or not."""
    if sum(map(cost.size_of, tensors(model))) > LARGEST_PROTOBUF:
        raise GraphError(
            "the model is over 2 GiB, and is not made one of half floats",
            hint="export it in half floats",
        )


def has_weights(model: ModelProto) -> None:
    """Raise `GraphError` for weights that are not there."""
    if any(is_hollow(tensor) for tensor in tensors(model)):
        raise GraphError(
            "the weights of the model were not read", hint="load the model with its weights"
        )


def prepared(model: ModelProto) -> tuple[ModelProto, Resolved]:
    """Return a copy that is ready to be rewritten, and its nodes with their types, in order.

    Functions are put in, nodes have names, Constants of floats are weights, and graphs within state
    what goes into them. Raises `GraphError` for an unsound model, and where nothing tells a type.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    try:
        copy = with_functions_put_in(copy)
        name_nodes(copy)
        sort(copy.graph)
        for graph in every_graph(copy.graph):
            _raise_constants(graph)
        given = resolved(copy)
    except Exception as error:  # UnsoundError, and what onnx's inliner raises
        raise GraphError(f"the model is not sound: {first_line(error)}") from error
    _state_types(copy, given)
    return copy, given


def _state_types(model: ModelProto, given: Resolved) -> None:
    """State what goes into graphs within; raise `GraphError` where nothing tells a type."""
    graphs = zip(every_graph(model.graph), every_graph(given.model.graph), strict=True)
    for graph, typed in graphs:
        for value, known in zip(graph.input, typed.input, strict=True):
            if type_of(value.type) is None:
                value.type.CopyFrom(known.type)
    unknown = [
        value.name
        for graph in every_graph(model.graph)
        for value in graph.input
        if type_of(value.type) is None
    ]
    unknown += [name for node in given.nodes for name in untyped(node)]
    if unknown:
        raise GraphError(
            f"nothing tells the type of {unknown[0]!r}",
            hint="state it in the file, or export the model in half floats",
        )


def is_done(nodes: tuple[Node, ...]) -> str | None:
    """Say why a model stays as it is, None where it does not; raises `GraphError` for scales."""
    kinds: set[str | None] = set()
    for node in nodes:
        names = (*node.proto.input, *node.proto.output)
        kinds.update(type_of(node.scope[name]) for name in names if name in node.scope)
    if kinds & {"float16", "bfloat16"}:
        return "it has half floats already, and stays as it is"
    if "float" not in kinds:
        return "nothing in it is computed in float32: it stays as it is"
    for node in nodes:
        if wants_wide_scales(node):
            raise GraphError(
                f"{node.op} {node.name} takes no half floats at opset {node.opset}",
                hint="raise it to 19 with --opset, or leave the model as it is quantized",
            )
    return None


def _raise_constants(graph: GraphProto) -> None:
    """Make weights of Constants of floats, but of those that a graph gives as they are."""
    given = {each.name for each in graph.output}
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if node.op_type != "Constant" or (node.domain or MAIN) != MAIN or node.output[0] in given:
            continue
        ((name, value),) = attributes(node).items()
        if name in {"value_float", "value_floats"}:
            value = numpy_helper.from_array(np.array(value, np.float32))
        elif name != "value" or value.data_type != FLOAT:
            continue
        graph.initializer.append(value)
        graph.initializer[-1].name = node.output[0]
        del graph.node[index]
