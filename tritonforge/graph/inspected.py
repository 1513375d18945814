"""What is in an `.onnx` file, whoever made it: read without its weights, however large they are."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

from tritonforge.errors import GraphError
from tritonforge.graph import cost, schemas
from tritonforge.graph.file import external_files, load
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import Node, UnsoundError, inferred, nodes, opsets, type_of

_STANDARD = {MAIN, "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"}
_CONTRIB = {"com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An input or output: its type as ONNX Runtime writes it, a name for a dynamic dimension.

    `dims` is None where the file states no shape.
    """

    name: str
    type: str
    dims: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """All weights of a dtype: how many tensors, elements and bytes."""

    dtype: str
    tensors: int
    elements: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Operators:
    """How often an operator occurs; `kind` is `standard`, `contrib` (ONNX Runtime's) or `custom`."""

    domain: str
    op: str
    count: int
    kind: str
    flops: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgraph:
    """The graphs in one node, such as the branches of an If: their nodes, and what they cost.

    A loop's body is counted once: how often it runs is not in the file.
    """

    node: str
    op: str
    nodes: int
    flops: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is in a file.

    `flops` and `activation_bytes` are for one sample: every dynamic dimension that `sizes` does not
    give is 1. `flops` is None where a shape of it is not known, `unknown` names the operators of
    which that is so. `fault` says why shapes could not be inferred, or what is wrong with weights
    in other files.
    """

    producer: str
    ir: int
    opsets: Mapping[str, int]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: int
    operators: tuple[Operators, ...]
    functions: tuple[str, ...]
    weights: tuple[Weights, ...]
    external: tuple[str, ...]
    subgraphs: tuple[Subgraph, ...]
    sizes: Mapping[str, int]
    flops: int | None
    unknown: tuple[str, ...]
    activation_bytes: int | None
    fault: str | None

    @property
    def parameters(self) -> int:
        """Return how many numbers have been learnt, or written down otherwise."""
        return sum(each.elements for each in self.weights)

    @property
    def weight_bytes(self) -> int:
        """Return the bytes of all weights, wherever they lie."""
        return sum(each.bytes for each in self.weights)


def inspect(path: Path, sizes: Mapping[str, int] | None = None) -> Inspection:
    """Read a file; `sizes` gives dynamic dimensions by name. Raises `GraphError`."""
    model = load(path)
    given = _sizes(model, sizes or {})
    inputs, outputs = (tuple(_values(each)) for each in (_inputs(model.graph), model.graph.output))
    fault, external = None, ()
    try:
        external = external_files(path)
    except GraphError as error:
        fault = error.message
    try:
        resolved = inferred(_fixed(model, given))
    except UnsoundError as error:
        resolved, fault = model, fault or str(error)
    typed = tuple(nodes(resolved.graph, opsets(resolved.opset_import)))
    costs = {id(node): cost.flops(node) for node in typed}
    return Inspection(
        producer=" ".join(filter(None, (model.producer_name, model.producer_version))),
        ir=model.ir_version,
        opsets=opsets(model.opset_import),
        inputs=inputs,
        outputs=outputs,
        nodes=len(typed),
        operators=_operators(typed, costs),
        functions=tuple(f"{each.domain}.{each.name}" for each in model.functions),
        weights=_weights(model.graph),
        external=external,
        subgraphs=_subgraphs(typed, costs),
        sizes=given,
        flops=_sum(costs.values()),
        unknown=tuple(sorted({node.op for node in typed if costs[id(node)] is None})),
        activation_bytes=_activations(typed),
        fault=fault,
    )


def _inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs that a request gives: those without a value in the file."""
    given = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in given]


def _values(values: Any) -> Iterator[Value]:
    for value in values:
        form = value.type.WhichOneof("value")
        dims = None
        if form == "tensor_type" and value.type.tensor_type.HasField("shape"):
            dims = tuple(
                dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
                for dim in value.type.tensor_type.shape.dim
            )
        yield Value(name=value.name, type=type_of(value.type) or "unknown", dims=dims)


def _sizes(model: ModelProto, given: Mapping[str, int]) -> dict[str, int]:
    """Return a size for every dynamic dimension of the inputs."""
    found = {}
    for value in _values(_inputs(model.graph)):
        for dim in value.dims or ():
            if isinstance(dim, str) and dim != "?":
                found[dim] = given.get(dim, 1)
    return found


def _fixed(model: ModelProto, sizes: Mapping[str, int]) -> ModelProto:
    """Put sizes in the place of the inputs' dynamic dimensions."""
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = sizes.get(dim.dim_param, 1)
    return model


def _operators(typed: Sequence[Node], costs: Mapping[int, int | None]) -> tuple[Operators, ...]:
    """Count operators, the most frequent first."""
    counts = Counter((node.domain, node.op) for node in typed)
    spent: dict[tuple[str, str], list[int | None]] = {}
    for node in typed:
        spent.setdefault((node.domain, node.op), []).append(costs[id(node)])
    return tuple(
        Operators(
            domain=domain, op=op, count=count, kind=_kind(domain), flops=_sum(spent[domain, op])
        )
        for (domain, op), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def _kind(domain: str) -> str:
    """Say who defines the operators of a domain."""
    if domain in _STANDARD:
        return "standard"
    return "contrib" if domain in _CONTRIB else "custom"


def _weights(graph: GraphProto) -> tuple[Weights, ...]:
    """Sum up the weights by dtype, those in subgraphs and Constants too; the largest first."""
    tensors: dict[int, list[int]] = {}
    for tensor in _tensors(graph):
        tensors.setdefault(tensor.data_type, []).append(prod(tensor.dims))
    found = [
        Weights(
            dtype=TensorProto.DataType.Name(dtype).lower(),
            tensors=len(counts),
            elements=sum(counts),
            bytes=sum(cost.tensor_bytes(dtype, count) for count in counts),
        )
        for dtype, counts in tensors.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.bytes, each.dtype)))


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Yield the weights of a graph and of the graphs in it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
    for node in graph.node:
        if node.op_type == "Constant":
            yield from (each.t for each in node.attribute if each.name == "value")
        for inner in schemas.graphs_in(node):
            yield from _tensors(inner)


def _subgraphs(typed: Sequence[Node], costs: Mapping[int, int | None]) -> tuple[Subgraph, ...]:
    """Sum up what lies in the branches and bodies of each node of the main graph."""
    inside: dict[str, list[Node]] = {}
    for node in typed:
        if node.path:
            inside.setdefault(node.path[0], []).append(node)
    ops = {node.name: node.op for node in typed if not node.path}
    return tuple(
        Subgraph(
            node=name,
            op=ops.get(name, ""),
            nodes=len(members),
            flops=_sum(costs[id(node)] for node in members),
        )
        for name, members in inside.items()
    )


def _activations(typed: Sequence[Node]) -> int | None:
    """Return the most bytes that values of the main graph take at once, in the file's order.

    A value lives from the node that makes it to the last one that reads it, in subgraphs too; the
    graph's inputs are the caller's. ONNX Runtime keeps to that where its memory pattern is on.
    """
    main = [node for node in typed if not node.path and node.op != "Constant"]
    order = {node.name: index for index, node in enumerate(main)}
    last = {}
    for node in typed:
        at = order.get(node.path[0] if node.path else node.name, 0)
        last |= {name: max(at, last.get(name, 0)) for name in node.proto.input}
    alive, most = 0, 0
    ending: dict[int, int] = {}
    for index, node in enumerate(main):
        for name in filter(None, node.proto.output):
            bytes_ = cost.size(node.scope.get(name))
            if bytes_ is None:
                return None
            alive += bytes_
            end = last.get(name, len(main))
            ending[end] = ending.get(end, 0) + bytes_
        most = max(most, alive)
        alive -= ending.pop(index, 0)
    return most


def _sum(counts: Any) -> int | None:
    """Add numbers up; None where one of them is not known."""
    known = list(counts)
    return None if None in known else sum(known)
