"""What is in an `.onnx` file, whoever made it: read without its weights, however large they are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import GraphProto, ValueInfoProto

from tritonforge.graph import cost
from tritonforge.graph.examined import Examined, dims, examine, requested
from tritonforge.graph.external import External, externals
from tritonforge.graph.file import LARGEST_PROTOBUF
from tritonforge.graph.schemas import graphs_in
from tritonforge.graph.typed import Node, opsets, type_of
from tritonforge.graph.weights import Weight, Weights, largest, weights

_CONTRIB = {"com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}
_LARGEST = 10  # so many weights are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An input or output: its type as ONNX Runtime writes it, a name for a dynamic dimension.

    `dims` is None where the file states no shape.
    """

    name: str
    type: str
    dims: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operators:
    """How often an operator occurs; `kind` is `standard`, `contrib` (ONNX Runtime's), `custom`.

    `flops` is what those cost of which it is known, `uncounted` how many it is not known of.
    """

    domain: str
    op: str
    count: int
    kind: str
    flops: int
    uncounted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgraph:
    """A graph in a node of the main graph, such as a branch of an If: its nodes, what they cost.

    Graphs in it are counted with it. A loop's body is counted once: how often it runs is not in the
    file.
    """

    node: str
    op: str
    branch: str
    nodes: int
    flops: int
    uncounted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is in a file.

    `flops` and `activation_bytes` are for inputs of `sizes`. `flops` counts the nodes of which the
    cost is known, each once, those of all branches and bodies too; `uncounted` names the other
    operators. `activation_bytes` is None where a shape is not known. `faults` say why shapes could
    not be inferred, and what is wrong with weights in other files.
    """

    producer: str
    ir: int
    opsets: Mapping[str, int]
    bytes: int
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: int
    operators: tuple[Operators, ...]
    functions: tuple[str, ...]
    parameters: int
    weight_bytes: int
    weights: tuple[Weights, ...]
    largest: tuple[Weight, ...]
    external: tuple[External, ...]
    subgraphs: tuple[Subgraph, ...]
    sizes: Mapping[str, int]
    flops: int
    uncounted: tuple[str, ...]
    activation_bytes: int | None
    faults: tuple[str, ...]


def inspect(path: Path, sizes: Mapping[str, int] | None = None) -> Inspection:
    """Read a file; `sizes` gives dynamic dimensions by name, 1 by default. Raises `GraphError`."""
    found = examine(path, sizes or {})
    model, held = found.model, path.stat().st_size
    sums, files = weights(model), externals(path, model)
    faults = [found.fault, *(each.fault for each in files)]
    if held > LARGEST_PROTOBUF:
        faults.append(f"is {held} bytes large, and no runtime reads more than 2 GiB in one file")
    return Inspection(
        producer=" ".join(filter(None, (model.producer_name, model.producer_version))),
        ir=model.ir_version,
        opsets=opsets(model.opset_import),
        bytes=held,
        inputs=tuple(map(_value, requested(model.graph))),
        outputs=tuple(map(_value, model.graph.output)),
        nodes=len(found.nodes),
        operators=_operators(found),
        functions=tuple(f"{each.domain}.{each.name}" for each in model.functions),
        parameters=sum(each.elements for each in sums),
        weight_bytes=sum(each.bytes for each in sums),
        weights=sums,
        largest=largest(model, _LARGEST),
        external=files,
        subgraphs=_subgraphs(found),
        sizes=found.sizes,
        flops=_total(found.flops),
        uncounted=tuple(
            sorted({node.op for node, flops in _costs(found) if flops is None}),
        ),
        activation_bytes=_activations(found.graph, found.nodes),
        faults=tuple(filter(None, faults)),
    )


def kind(domain: str) -> str:
    """Say who defines the operators of a domain."""
    if domain in cost.STANDARD:
        return "standard"
    return "contrib" if domain in _CONTRIB else "custom"


def _value(value: ValueInfoProto) -> Value:
    return Value(name=value.name, type=type_of(value.type) or "unknown", dims=dims(value))


def _costs(found: Examined) -> Iterable[tuple[Node, int | None]]:
    return zip(found.nodes, found.flops, strict=True)


def _operators(found: Examined) -> tuple[Operators, ...]:
    """Count operators, the most frequent first."""
    groups: dict[tuple[str, str], list[int | None]] = {}
    for node, flops in _costs(found):
        groups.setdefault((node.domain, node.op), []).append(flops)
    return tuple(
        Operators(
            domain=domain,
            op=op,
            count=len(costs),
            kind=kind(domain),
            flops=_total(costs),
            uncounted=costs.count(None),
        )
        for (domain, op), costs in sorted(groups.items(), key=lambda each: (-len(each[1]), each[0]))
    )


def _subgraphs(found: Examined) -> tuple[Subgraph, ...]:
    """Sum up what lies in each branch and body of the nodes of the main graph."""
    inside: dict[tuple[str, str], list[int | None]] = {}
    for node, flops in _costs(found):
        if node.path:
            inside.setdefault((node.path[0], node.branches[0]), []).append(flops)
    ops = {node.name: node.op for node in found.nodes if not node.path}
    return tuple(
        Subgraph(
            node=name,
            op=ops[name],
            branch=branch,
            nodes=len(costs),
            flops=_total(costs),
            uncounted=costs.count(None),
        )
        for (name, branch), costs in inside.items()
    )


def _activations(graph: GraphProto, typed: tuple[Node, ...]) -> int | None:
    """Return the most bytes that values of the main graph take at once, in the file's order.

    A value lives from the node that makes it to the last one that reads it, in subgraphs too, an
    output to the end; the graph's inputs are the caller's. ONNX Runtime keeps to that where its
    memory pattern is on.
    """
    last: dict[str, int] = {}
    at = -1
    for node in typed:  # those of a subgraph follow the node that holds it
        at += not node.path
        last |= dict.fromkeys(node.proto.input, at)
    last |= {each.name: at for each in graph.output}
    settled = {tensor.name for tensor in graph.initializer}  # what follows from them is folded
    alive, most, ending = 0, 0, dict[int, int]()
    for index, node in enumerate(node for node in typed if not node.path):
        if _is_settled(node, settled):
            settled.update(node.proto.output)
        for name in set(node.proto.output) & (last.keys() - settled):
            if (size := cost.size(node.scope.get(name))) is None:
                return None
            alive += size
            ending[last[name]] = ending.get(last[name], 0) + size
        most = max(most, alive)
        alive -= ending.pop(index, 0)
    return most


def _is_settled(node: Node, settled: set[str]) -> bool:
    """Say whether a node follows from constants alone."""
    if node.op == "Constant":
        return True
    has_graphs = any(True for _ in graphs_in(node.proto))
    return bool(node.proto.input) and not has_graphs and settled.issuperset(node.proto.input)


def _total(costs: Iterable[int | None]) -> int:
    """Add up what is known."""
    return sum(each for each in costs if each is not None)
