"""Operators put in as others: what ONNX Runtime does where no provider has a kernel for them."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

from tritonforge.graph import schemas
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import Node, Resolved, node_name, opsets, resolved

_DEEPEST = 8  # bodies within bodies
_Bodies = Mapping[tuple[tuple[str, ...], str], tuple[Node, FunctionProto]]


def inlined(
    given: Resolved,
    wanted: Callable[[Node], bool],
    *,
    first: bool,
    before: Callable[[Resolved], None] | None = None,
) -> tuple[Resolved, Mapping[str, str]]:
    """Return a model in which the body of each wanted node stands for it, as it is where none is.

    And the name of that node by each value that a body makes. `first` takes the bodies as the
    operators were first written. A wanted node without a body stays. `before` sees the model each
    time before bodies go in. Raises `UnsoundError`.
    """
    stood: dict[str, str] = {}
    for _ in range(_DEEPEST):
        bodies = _bodies(given, wanted, first=first)
        if not bodies:
            break
        if before is not None:
            before(given)
        given = resolved(_with_bodies(given.model, bodies, stood))
    return given, stood


def expanded(model: ModelProto, wanted: Callable[[Node], bool]) -> ModelProto:
    """Return a whole model, weights and all, in which bodies stand for the wanted nodes.

    Raises `UnsoundError`.
    """
    for _ in range(_DEEPEST):
        bodies = _bodies(resolved(model), wanted, first=False)
        if not bodies:
            break
        model = _with_bodies(model, bodies, {})
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


def _with_bodies(model: ModelProto, bodies: _Bodies, stood: dict[str, str]) -> ModelProto:
    """Return a copy in which bodies stand for nodes; `stood` learns what for."""
    copy = ModelProto()
    copy.CopyFrom(model)
    known = opsets(copy.opset_import)
    for _, body in bodies.values():
        for domain, version in opsets(body.opset_import).items():
            if domain not in known:
                known[domain] = version
                copy.opset_import.add(domain="" if domain == MAIN else domain, version=version)
    _rewrite(copy.graph, (), bodies, stood)
    return copy


def _rewrite(
    graph: GraphProto, path: tuple[str, ...], bodies: _Bodies, stood: dict[str, str]
) -> None:
    """Put bodies into a graph and the graphs in it."""
    written: list[NodeProto] = []
    for index, proto in enumerate(graph.node):
        name = node_name(proto, index)
        for inner in schemas.graphs_in(proto):
            _rewrite(inner, (*path, name), bodies, stood)
        found = bodies.get(_place(path, proto))
        if found is None:
            written.append(proto)
            continue
        body = [*_instead(proto, *found)]
        whole = stood.get(_place(path, proto)[1], found[0].name)  # of a body within a body
        stood |= dict.fromkeys(_made(body), whole)
        written += body
    del graph.node[:]
    graph.node.extend(written)


def _instead(proto: NodeProto, node: Node, body: FunctionProto) -> Iterator[NodeProto]:
    """Yield the body of a node with the names of the values around it."""
    names = dict(zip(body.input, proto.input, strict=False))
    names |= dict.fromkeys(body.input[len(proto.input) :], "")
    names |= {formal: name for formal, name in zip(body.output, proto.output, strict=False) if name}
    for index, inner in enumerate(body.node):
        written = NodeProto.FromString(inner.SerializeToString())
        written.name = f"{node.name}/{inner.name or f'{inner.op_type}_{index}'}"
        _rename(written, names, f"{_place((), proto)[1]}/")
        yield written


def _made(protos: Iterable[NodeProto]) -> Iterator[str]:
    """Yield the values that nodes make, those of the graphs in them too."""
    for proto in protos:
        yield from filter(None, proto.output)
        for graph in schemas.graphs_in(proto):
            yield from _made(graph.node)


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
