"""What the optimizer makes of nodes that have kernels, and that no kernel on the CPU runs.

It is on unless optimizations are off. Sources: onnxruntime `core/optimizer`, and measured by
loading exported networks of doubles and of quantized values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tritonforge.graph.schemas import attributes, schema
from tritonforge.graph.typed import Node
from tritonforge.kernels import kernels
from tritonforge.release import Release

_CONTRIB = "com.microsoft"
_INTO_GEMM = {"Relu", "Sigmoid", "Tanh"}  # of those that it takes in, what the CPU has for doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The nodes of a model: which makes a value, and which read it; None is the graph's own end."""

    nodes: Sequence[Node]
    makers: dict[str, Node]
    readers: dict[str, list[Node | None]]

    def of(self, op: str, of_type: str) -> Iterator[Node]:
        """Yield the nodes of an operator and of a type."""
        return (node for node in self.nodes if node.op == op and node.types.get("T") == of_type)

    def maker(self, name: str, op: str) -> Node | None:
        """Return what makes a value, None where that is another operator."""
        found = self.makers.get(name)
        return found if found is not None and found.op == op else None

    def only_reader(self, node: Node) -> Node | None:
        """Return what alone reads the first output of a node, None where it has other readers."""
        found = self.readers.get(node.proto.output[0], [])
        return found[0] if len(found) == 1 else None


def fused(nodes: Sequence[Node], release: Release) -> str | None:
    """Say what is made that no kernel runs, None where all runs."""
    if not any(node.types.get("T") == "double" or node.op == "QuantizeLinear" for node in nodes):
        return None  # the rest is of these alone
    graph = linked(nodes)
    found = (rule(graph, release) for rule in (_transposed, _quantized, _gated, _activated))
    return next((text for text in found if text is not None), None)


def linked(nodes: Sequence[Node]) -> Graph:
    """Find who makes and who reads each value."""
    makers = {name: node for node in nodes for name in node.proto.output}
    readers: dict[str, list[Node | None]] = {}
    for node in nodes:
        for name in node.proto.input:
            readers.setdefault(name, []).append(node)
    for graph in {id(node.graph): node.graph for node in nodes}.values():
        for value in graph.output:
            readers.setdefault(value.name, []).append(None)
    return Graph(nodes=nodes, makers=makers, readers=readers)


def _lacks_doubles(release: Release, op: str) -> bool:
    """Say whether the CPU has a kernel of ONNX Runtime's own for floats, and none for doubles."""
    known = kernels(release.onnxruntime, "cpu", _CONTRIB, op)
    return bool(known) and not any("double" in kernel.types["T"] for kernel in known)


def _transposed(graph: Graph, release: Release) -> str | None:
    """Say where a MatMul of doubles follows a Transpose (`matmul_transpose_fusion.cc`).

    It becomes a FusedMatMul, which the CPU has for floats alone until 1.25.
    """
    if not _lacks_doubles(release, "FusedMatMul"):
        return None
    for node in graph.of("MatMul", "double"):
        for name in node.proto.input if node.since >= 9 else ():
            made = graph.maker(name, "Transpose")
            if made is not None and _swaps_last(attributes(made.proto)):
                return "MatMul of double after a Transpose, fused into a FusedMatMul without kernel"
    return None


def _swaps_last(given: dict[str, Any]) -> bool:
    """Say whether a permutation, by default the reverse one, exchanges the last two axes."""
    if "perm" not in given:
        return True
    rank = len(given["perm"])
    return rank >= 2 and [*given["perm"][-2:]] == [rank - 1, rank - 2]


def _quantized(graph: Graph, release: Release) -> str | None:
    """Say where a MatMul stands between values that are dequantized and quantized.

    It becomes a QLinearMatMul of the model's opset, which has no kernel at opset 21 until 1.20
    (`qdq_selectors.cc`, MatMulNodeGroupSelector).
    """
    for node in graph.nodes:
        known = schema(node.domain, "QLinearMatMul", node.opset) if node.op == "MatMul" else None
        after = graph.only_reader(node) if known is not None else None
        if known is None or after is None or after.op != "QuantizeLinear":
            continue
        made = [graph.maker(name, "DequantizeLinear") for name in node.proto.input]
        left, right = (None if each is None else each.types.get("x") for each in made)
        whole = {left, right} <= {"int8", "uint8"} and (left == "uint8" or right == "int8")
        if not whole or after.types.get("y") != left:
            continue
        found = kernels(release.onnxruntime, "cpu", node.domain, "QLinearMatMul")
        if not any(kernel.covers(known.since_version) for kernel in found):
            what = f"QLinearMatMul-{known.since_version}"
            return f"MatMul of quantized values, fused into a {what} without kernel"
    return None


def _gated(graph: Graph, release: Release) -> str | None:
    """Say where doubles are multiplied with their Sigmoid, as SiLU does (`quick_gelu_fusion.cc`).

    It becomes a QuickGelu, which the CPU has for floats alone; from 1.31 doubles are left as
    they are.
    """
    if release.minor >= (1, 31) or not _lacks_doubles(release, "QuickGelu"):
        return None
    for gate in graph.of("Sigmoid", "double"):
        given = gate.proto.input[0]
        scaled = graph.maker(given, "Mul")
        values = {given, *(scaled.proto.input if scaled is not None else ())}
        after = graph.only_reader(gate)
        if after is not None and after.op == "Mul" and values & set(after.proto.input):
            return "Sigmoid of double, fused with a Mul into a QuickGelu without kernel"
    return None


def _activated(graph: Graph, release: Release) -> str | None:
    """Say where an activation follows a Gemm of doubles (`gemm_activation_fusion.cc`).

    It becomes a FusedGemm, which the CPU has for floats alone; from 1.18 doubles are left as
    they are.
    """
    if release.minor >= (1, 18) or not _lacks_doubles(release, "FusedGemm"):
        return None
    for node in graph.of("Gemm", "double"):
        after = graph.only_reader(node)
        if after is not None and after.op in _INTO_GEMM:
            return f"Gemm of double with a {after.op}, fused into a FusedGemm without kernel"
    return None
