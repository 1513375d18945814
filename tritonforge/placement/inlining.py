"""Operators put in as others: what ONNX Runtime does where no provider has a kernel for them."""

from collections.abc import Callable, Iterator

from onnx import FunctionProto, ModelProto, NodeProto

from tritonforge.graph import schemas
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import Node, inferred, nodes, opsets

_DEEPEST = 8  # bodies within bodies


def inlined(model: ModelProto, wanted: Callable[[Node], bool], *, first: bool) -> ModelProto:
    """Return a typed model in which the body of each wanted node stands for it.

    `first` takes the bodies as the operators were first written. A wanted node without a body
    stays. Raises `UnsoundError`.
    """
    typed = inferred(model)
    for _ in range(_DEEPEST):
        bodies = {}
        for node in nodes(typed.graph, opsets(typed.opset_import)):
            if node.schema is not None and wanted(node):
                body = schemas.body(node.proto, node.schema, node.opset, node.scope, first=first)
                if body is not None:
                    bodies[id(node.graph), node.proto.output[0]] = (node, body)
        if not bodies:
            break
        _import(typed, [body for _, body in bodies.values()])
        for graph in {id(node.graph): node.graph for node, _ in bodies.values()}.values():
            written = [
                each
                for proto in graph.node
                for each in _instead(proto, bodies.get((id(graph), next(iter(proto.output), ""))))
            ]
            del graph.node[:]
            graph.node.extend(written)
        typed = inferred(typed)
    return typed


def _import(model: ModelProto, bodies: list[FunctionProto]) -> None:
    """Add the domains that bodies use."""
    known = opsets(model.opset_import)
    for body in bodies:
        for domain, version in opsets(body.opset_import).items():
            if domain not in known:
                known[domain] = version
                model.opset_import.add(domain="" if domain == MAIN else domain, version=version)


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
