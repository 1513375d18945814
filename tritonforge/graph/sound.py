"""Whether a graph holds together, without its types: what ONNX Runtime refuses at first sight.

It sorts the nodes of a model itself; of a branch or a loop ONNX's checker wants them in order, and
under names that nothing around has by then.

Source: microsoft/onnxruntime, `graph.cc` (Graph::Graph, BuildConnections, VerifyNoDuplicateName,
PerformTopologicalSortAndCheckIsAcyclic); onnx, `checker.cc` (check_graph, check_attribute).
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import Any

from onnx import AttributeProto, GraphProto, ModelProto

from tritonforge.graph.filled import misfit
from tritonforge.graph.ordering import cycle
from tritonforge.graph.schemas import MAIN, every_graph, graphs_in

# Domains of ONNX Runtime's own operators, which go before functions of their names.
_ITS_OWN = (MAIN, "com.microsoft", "com.ms.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What a branch or a loop sees: names that it may read, and those of them that are made yet."""

    known: AbstractSet[str]
    made: AbstractSet[str]


def unsound(model: ModelProto) -> str | None:
    """Say what of a model's graphs does not hold together; None where all does."""
    fault = next(chain(_faults(model.graph, None), _typeless(model)), None)
    if fault is None and (ring := cycle(model.graph)):
        return f"its nodes read each other: {', '.join(ring)}"
    return fault or misfit(model)


def is_legible(message: Any) -> bool:
    """Say whether every text in a message is UTF-8; protobuf gives bytes of one that is not."""
    for field, value in message.ListFields():
        held = value if field.is_repeated else [value]
        if field.type == field.TYPE_STRING and not all(isinstance(each, str) for each in held):
            return False
        if field.type == field.TYPE_MESSAGE and not all(is_legible(each) for each in held):
            return False
    return True


def _faults(graph: GraphProto, around: _Around | None) -> Iterator[str]:
    """Yield what is wrong with a graph, `around` being None for that of the model."""
    inputs = [each.name for each in graph.input]
    made = [name for node in graph.node for name in node.output if name]
    titles = [node.name for node in graph.node if node.name]
    given = {*inputs, *(each.name for each in graph.initializer)}
    given |= {each.values.name for each in graph.sparse_initializer}
    operators = (name for node in graph.node for name in (node.op_type, node.domain))
    for name in chain(given, made, operators):
        if not isinstance(name, str):  # what protobuf gives of bytes that are no UTF-8
            yield f"a name is not UTF-8: {name!r}"
    for names, said in ((inputs, "inputs"), ([*given, *made], "values"), (titles, "nodes")):
        if (twice := _twice(names)) is not None:
            yield f"two {said} are named {twice!r}"
    for name in made if around else ():
        if around and name in around.made:
            yield f"two values are named {name!r}, one of them in a branch or a loop"
    yield from _lost(graph, given, {*given, *made}, around)


def _lost(
    graph: GraphProto, given: AbstractSet[str], own: AbstractSet[str], around: _Around | None
) -> Iterator[str]:
    """Yield the names that nothing gives, in a branch or a loop nothing before."""
    made = {*given, *around.made} if around else {*given}
    known = {*made, *around.known} if around else {*own}
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                nothing = "nothing before" if name in own else "nothing"
                yield f"node {node.name!r} ({node.op_type}) reads {name!r}, which {nothing} gives"
        for inner in graphs_in(node):
            yield from _faults(inner, _Around(known=known, made=made))
        made.update(filter(None, node.output))
        known.update(filter(None, node.output))
    for each in graph.output:
        if each.name not in own:
            yield f"its output {each.name!r} is given by nothing"


def _typeless(model: ModelProto) -> Iterator[str]:
    """Yield the attributes of no known type, in functions only where they are called."""
    bodies = {
        (each.domain, each.name, each.overload): each
        for each in model.functions
        if not (each.domain or MAIN).startswith(_ITS_OWN)
    }
    left: list[Any] = [model.graph]
    while left:
        body = left.pop()
        for node in (each for graph in every_graph(body) for each in graph.node):
            for given in node.attribute:
                if _is_typeless(given) and not (given.ref_attr_name and body is not model.graph):
                    title = f"node {node.name!r} ({node.op_type})"
                    yield f"{title} has an attribute {given.name!r} of no known type"
            called = bodies.pop((node.domain, node.op_type, node.overload), None)
            left += [] if called is None else [called]


def _is_typeless(given: AttributeProto) -> bool:
    """Say whether an attribute has no type, or a value and a type that is none."""
    says = {"name", "doc_string", "ref_attr_name", "type"}
    if given.HasField("type") and given.type == AttributeProto.UNDEFINED:
        return any(field.name not in says for field, _ in given.ListFields())
    return not given.HasField("type")


def _twice(names: Iterable[str]) -> str | None:
    """Return the first name that comes twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
