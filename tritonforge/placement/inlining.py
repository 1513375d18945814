"""Operators put in as others: what ONNX Runtime does where no provider has a kernel for them."""

from collections.abc import Callable, Iterator, Mapping

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

from tritonforge.graph import schemas
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import Node, Resolved, node_name, opsets, resolved

_DEEPEST = 8  # bodies within bodies
_Bodies = Mapping[tuple[tuple[str, ...], str], tuple[Node, FunctionProto]]


def inlined(given: Resolved, wanted: Callable[[Node], bool], *, first: bool) -> Resolved:
    """Return a model in which the body of each wanted node stands for it, as it is where none is.

    `first` takes the bodies as the operators were first written. A wanted node without a body
    stays. Raises `UnsoundError`.
    """
    for _ in range(_DEEPEST):
        bodies = _bodies(given, wanted, first=first)
        if not bodies:
            break
        given = resolved(_with_bodies(given.model, bodies))
    return given


def expanded(model: ModelProto, wanted: Callable[[Node], bool]) -> ModelProto:
    """Return a whole model, weights and all, in which bodies stand for the wanted nodes.

    Raises `UnsoundError`.
    """
    for _ in range(_DEEPEST):
        bodies = _bodies(resolved(model), wanted, first=False)
        if not bodies:
            break
        model = _with_bodies(model, bodies)
    return model


def _bodies(given: Resolved, wanted: Callable[[Node], bool], *, first: bool) -> _Bodies:
    """Return the wanted nodes that have a body."""
    found = {}
    for node in given.nodes:
        if node.schema is not None and wanted(node):
            body = schemas.body(node.proto, node.schema, node.opset, node.scope, first=first)
            if body is not None:
                found[_place(node.path, node.proto)] = (node, body)
    return found


def _place(path: tuple[str, ...], proto: NodeProto) -> tuple[tuple[str, ...], str]:
    """Name a node by what it makes: names of values are unique, those of nodes need not be."""
    return path, next(filter(None, proto.output), "")


def _with_bodies(model: ModelProto, bodies: _Bodies) -> ModelProto:
    """Return a copy in which bodies stand for nodes."""
    copy = ModelProto()
    copy.CopyFrom(model)
    known = opsets(copy.opset_import)
    for _, body in bodies.values():
        for domain, version in opsets(body.opset_import).items():
            if domain not in known:
                known[domain] = version
                copy.opset_import.add(domain="" if domain == MAIN else domain, version=version)
    _rewrite(copy.graph, (), bodies)
    return copy


def _rewrite(graph: GraphProto, path: tuple[str, ...], bodies: _Bodies) -> None:
    """Put bodies into a graph and the graphs in it."""
    written: list[NodeProto] = []
    for index, proto in enumerate(graph.node):
        name = node_name(proto, index)
        for inner in schemas.graphs_in(proto):
            _rewrite(inner, (*path, name), bodies)
        written += _instead(proto, bodies.get(_place(path, proto)))
    del graph.node[:]
    graph.node.extend(written)


def _instead(proto: NodeProto, found: tuple[Node, FunctionProto] | None) -> Iterator[NodeProto]:
    """Yield a node, or its body with the names of the values around it."""
    if found is None:
        yield proto
        return
    node, body = found
    names = dict(zip(body.input, proto.input, strict=False))
    names |= dict.fromkeys(body.input[len(proto.input) :], "")
    names |= {formal: name for formal, name in zip(body.output, proto.output, strict=False) if name}
    for index, inner in enumerate(body.node):
        written = NodeProto.FromString(inner.SerializeToString())
        written.name = f"{node.name}/{inner.name or f'{inner.op_type}_{index}'}"
        _rename(written, names, f"{node.name}/")
        yield written


def _rename(proto: NodeProto, names: dict[str, str], prefix: str) -> None:
    """Name values as they are named around a body, others by a prefix of their own."""
    for values in (proto.input, proto.output):
        values[:] = [names.get(name, prefix + name) if name else "" for name in values]
    for graph in schemas.graphs_in(proto):
        for tensor in graph.initializer:
            tensor.name = names.get(tensor.name, prefix + tensor.name)
        for value in (*graph.input, *graph.output, *graph.value_info):
            value.name = names.get(value.name, prefix + value.name)
        for inner in graph.node:
            _rename(inner, names, prefix)
