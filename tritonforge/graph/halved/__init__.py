"""A model that computes in half floats, and still takes and gives floats.

From 11 on TensorRT computes in the types that a file states. What an operator's schema allows in
half floats becomes so, in the graphs within, too; Casts stand between it and the rest.
`onnxruntime.transformers.float16` does as much for many models, but not where a value is read by
two operators that stay in float, in branches and bodies, of functions, or beside a DequantizeLinear
or a Constant's number: there it makes graphs that ONNX Runtime refuses.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from onnx import GraphProto, ModelProto, NodeProto, helper

from tritonforge.graph.file import stamp_of
from tritonforge.graph.halved.casting import State, Value, finish, free, notes, recast
from tritonforge.graph.halved.delicate import is_exact, is_finely_scaled, is_wide
from tritonforge.graph.halved.halvable import fits, has_weights, is_done, prepared
from tritonforge.graph.halved.halving import FLOAT, HALF, Ports, is_float, is_flow, ports
from tritonforge.graph.schemas import every_graph, graphs_in
from tritonforge.graph.typed import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Halved:
    """A model in half floats; `notes` say what did not go without loss, and what stayed."""

    model: ModelProto
    notes: tuple[str, ...]


Known = Mapping[str, Value]


def halve(model: ModelProto, keep: Container[str] = ()) -> Halved:
    """Return a model that computes in half floats; its inputs and outputs stay as they are.

    The nodes named in `keep` stay in float, with the graphs in them; so does what is computed of
    whole numbers alone, such as sizes and positions, which half floats hold up to 2048. Raises
    `GraphError` for a model that was read without weights, is over 2 GiB, is unsound, or whose
    scales must be floats.
    """
    fits(model)
    has_weights(model)
    copy, given = prepared(model)
    if said := is_done(given.nodes):
        return Halved(model=model, notes=(said,))
    state = State(
        nodes=iter(given.nodes),
        keep=keep,
        opset=stamp_of(copy).opset,
        names={name for graph in every_graph(copy.graph) for name in _names(graph)},
    )
    _rewrite(copy.graph, {}, state, None)
    for graph in every_graph(copy.graph):
        _rename(graph, state.renamed)
    return Halved(model=copy, notes=tuple(notes(state)))


def _rewrite(graph: GraphProto, outer: Known, state: State, interface: int | None) -> None:
    """Rewrite a graph and those in it; `interface` is what its floats go in and out as.

    None is for the main graph, whose own inputs and outputs stay floats under their names.
    """
    nodes: list[NodeProto] = []
    known = _given(graph, outer, nodes, interface)
    public = set() if interface else {each.name for each in graph.output}
    for proto in graph.node:
        _node(proto, known, state, public, nodes)
    for value in graph.output:
        if interface is not None and value.name in known:
            value.name = recast(known[value.name], interface, state)
            if is_float(value.type):
                value.type.tensor_type.elem_type = interface
    own = [each for each in known.values() if each.nodes is nodes]
    for info in graph.value_info:
        found = known.get(info.name)
        if found is not None and found.name == info.name and found.made == HALF:
            info.type.tensor_type.elem_type = HALF
    for each in own:
        finish(graph, each, state, kept=each.is_read or each.name in public)
    weights = {each.name for each in graph.initializer}
    for index in reversed(range(len(graph.value_info))):
        if graph.value_info[index].name in weights:
            del graph.value_info[index]
    kept = [NodeProto.FromString(each.SerializeToString()) for each in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def _given(
    graph: GraphProto, outer: Known, nodes: list[NodeProto], interface: int | None
) -> dict[str, Value]:
    """Return the floats that a graph begins with: those around it, its inputs and its weights."""
    known = dict(outer)
    for each in graph.initializer:
        known.pop(each.name, None)
        if each.data_type == FLOAT:
            known[each.name] = Value(nodes=nodes, name=each.name, made=FLOAT, weight=each)
    for sparse in graph.sparse_initializer:
        known.pop(sparse.values.name, None)
        if sparse.values.data_type == FLOAT:
            known[sparse.values.name] = Value(nodes=nodes, name=sparse.values.name, made=FLOAT)
    for value in graph.input:
        known.pop(value.name, None)
        if is_float(value.type):
            value.type.tensor_type.elem_type = made = interface or FLOAT
            known[value.name] = Value(nodes=nodes, name=value.name, made=made)
    return known


def _node(
    proto: NodeProto,
    known: dict[str, Value],
    state: State,
    public: set[str],
    nodes: list[NodeProto],
) -> None:
    """Let a node read and give what it can, and the graphs in it."""
    node = next(state.nodes)
    read = [known[name] for name in proto.input if name in known]
    exact = is_exact(node, read)
    stays = exact or any(name in state.keep for name in (node.name, *node.path))
    found = ports(node, stays=stays or is_finely_scaled(node, read))
    _count(node, found, state)
    for index, want in enumerate(found.inputs):
        if want is not None:
            proto.input[index] = recast(known[proto.input[index]], want, state)
    interface = HALF if is_flow(node) and not stays else FLOAT
    for inner in graphs_in(proto):
        _rewrite(inner, known, state, interface)
    for attribute in proto.attribute:
        if node.op == "Cast" and attribute.name == "to" and found.outputs[0] == HALF:
            attribute.i = HALF
    nodes.append(proto)
    wide = is_wide(node, read)
    for index, made in enumerate(found.outputs):
        name = proto.output[index]
        known.pop(name, None)
        if made is None:
            continue
        value = Value(nodes=nodes, name=name, made=made, exact=exact, wide=wide)
        if made == HALF and name in public:
            value.name, value.other = free(f"{name}_half", state), name
            proto.output[index] = value.name
            nodes.append(helper.make_node("Cast", [value.name], [name], f"{name}_cast", to=FLOAT))
        known[name] = value


def _count(node: Node, found: Ports, state: State) -> None:
    """Count a node that gives floats, by its operator where it stays in float."""
    if any(each is not None for each in found.outputs):
        state.computing += 1
        state.staying[node.op] += HALF not in (*found.inputs, *found.outputs)


def _names(graph: GraphProto) -> Iterator[str]:
    """Yield every name of a value in a graph."""
    yield from (each.name for each in (*graph.input, *graph.output, *graph.initializer))
    yield from (each.values.name for each in graph.sparse_initializer)
    for node in graph.node:
        yield from (*node.input, *node.output)


def _rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Give weights whose floats are gone their own names again."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
    for value in graph.output:
        value.name = names.get(value.name, value.name)
