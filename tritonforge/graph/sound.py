"""Whether a graph's names hold together, without types: what ONNX Runtime refuses at first sight.

Source: microsoft/onnxruntime, `graph.cc` (Graph::Graph, BuildConnections, VerifyNodeAndOpMatch).
"""

from collections.abc import Iterator

from onnx import GraphProto, ModelProto

from tritonforge.graph.schemas import graphs_in


def unsound(model: ModelProto) -> str | None:
    """Say which name of a model's graphs does not hold together; None where all do.

    The order of nodes is none of it: ONNX Runtime sorts them.
    """
    return next(_faults(model.graph, frozenset()), None)


def _faults(graph: GraphProto, outer: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong of a graph in which the names of `outer` are known."""
    given = [each.name for each in graph.input]
    made = [name for node in graph.node for name in node.output if name]
    for names, said in ((given, "two inputs are"), (made, "two values are")):
        twice = _twice(names)
        if twice is not None:
            yield f"{said} named {twice!r}"
    held = {each.name for each in graph.initializer}
    held |= {each.values.name for each in graph.sparse_initializer}
    known = outer.union(given, made, held)
    for node in graph.node:
        if not isinstance(node.op_type, str):  # what protobuf gives of bytes that are no UTF-8
            yield f"an operator's name is not UTF-8: {node.op_type!r}"
        for name in node.input:
            if name and name not in known:
                yield f"node {node.name!r} ({node.op_type}) reads {name!r}, which nothing gives"
        for inner in graphs_in(node):
            yield from _faults(inner, known)
    for each in graph.output:
        if each.name not in known:
            yield f"its output {each.name!r} is given by nothing"


def _twice(names: list[str]) -> str | None:
    """Return the first name that comes twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
