"""ONNX's own knowledge of an operator: its schema at an opset, and its body of other operators."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from onnx import AttributeProto, FunctionProto, NodeProto, TypeProto, defs, helper

MAIN = "ai.onnx"  # the domain that files leave empty
# Deprecated in a version of ONNX that is newer than its opset: ONNX Runtime still takes it there.
_STILL_TAKEN = {"GroupNormalization"}


@cache
def schema(domain: str, op: str, opset: int) -> Any | None:
    """Return what an operator is at an opset, None where there is none (or none any more)."""
    try:
        found = defs.get_schema(op, opset, "" if domain == MAIN else domain)
    except (defs.SchemaError, TypeError):  # TypeError: an opset beyond 32 bits
        return None
    return None if found.deprecated and op not in _STILL_TAKEN else found


def body(
    node: NodeProto,
    known: Any,
    opset: int,
    types: Mapping[str, TypeProto],
    *,
    first: bool = False,
) -> Any | None:
    """Return a node as other operators, its attributes put in, None where it has no such body.

    ONNX Runtime runs that in place of an operator that it has no kernel for; with `first` as the
    operator was first written, else as for the model's opset.
    """
    found = FunctionProto()
    if first:
        opset = known.since_version
    version = max((each for each in known.function_opset_versions if each <= opset), default=None)
    if version is not None:
        found.ParseFromString(_bytes(known.get_function_with_opset_version(version)))
        if _is_outdated(found, opset):
            return None
    elif (version := _version(known, opset)) is not None:
        given = [types[name].SerializeToString() if name in types else b"" for name in node.input]
        made = known.get_context_dependent_function_with_opset_version(
            version, node.SerializeToString(), given
        )
        if not made:
            return None
        found.ParseFromString(made)
    else:
        return None
    defaults = {name: each.default_value for name, each in known.attributes.items()}
    values = {name: each for name, each in defaults.items() if each.name}
    _put_in(found.node, values | {each.name: each for each in node.attribute})
    return found


def _version(known: Any, opset: int) -> int | None:
    """Choose among bodies that depend on their node: the newest up to the model's opset."""
    if not known.has_context_dependent_function:
        return None
    fitting = [each for each in known.context_dependent_function_opset_versions if each <= opset]
    return max(fitting, default=None)


def _put_in(nodes: Any, values: Mapping[str, AttributeProto]) -> None:
    """Put the node's attributes where its body refers to them; drop what is not given."""
    for node in nodes:
        kept = []
        for each in node.attribute:
            if not each.ref_attr_name:
                kept.append(AttributeProto.FromString(each.SerializeToString()))
            elif each.ref_attr_name in values:
                kept.append(AttributeProto())
                kept[-1].CopyFrom(values[each.ref_attr_name])
                kept[-1].name = each.name
        del node.attribute[:]
        node.attribute.extend(kept)
        for graph in graphs_in(node):
            _put_in(graph.node, values)


def _bytes(function: Any) -> bytes:
    return function if isinstance(function, bytes) else bytes(function.SerializeToString())


def _is_outdated(found: FunctionProto, opset: int) -> bool:
    """Say whether an operator in a body means something else at a later opset than it does there.

    Then there is no body for a model of that opset (onnx `schema.cc`,
    ValidateReferencedOpsInFunctonBody).
    """
    written = {entry.domain or MAIN: entry.version for entry in found.opset_import}
    return any(
        _since(node.op_type, written.get(MAIN, opset)) != _since(node.op_type, opset)
        for node in found.node
        if (node.domain or MAIN) == MAIN
    )


def _since(op: str, opset: int) -> int | None:
    known = schema(MAIN, op, opset)
    return None if known is None else int(known.since_version)


def graphs_in(node: NodeProto) -> Iterator[Any]:
    """Yield the graphs in a node's attributes: branches, and bodies of loops."""
    for each in node.attribute:
        if each.type == AttributeProto.GRAPH:
            yield each.g
        elif each.type == AttributeProto.GRAPHS:
            yield from each.graphs


def named_graphs_in(node: NodeProto) -> Iterator[tuple[str, Any]]:
    """Yield them with the names of their attributes, such as `then_branch`."""
    for each in node.attribute:
        if each.type == AttributeProto.GRAPH:
            yield each.name, each.g
        elif each.type == AttributeProto.GRAPHS:
            yield from ((each.name, graph) for graph in each.graphs)


def every_graph(graph: Any) -> Iterator[Any]:
    """Yield a graph and the graphs in it."""
    yield graph
    for node in graph.node:
        for inner in graphs_in(node):
            yield from every_graph(inner)


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name, texts as bytes; not what a function is to put in."""
    said = [each for each in node.attribute if not each.ref_attr_name]
    return {each.name: helper.get_attribute_value(each) for each in said}
