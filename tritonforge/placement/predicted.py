"""Where each node of a model lands in a release, foretold from its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnx import ModelProto

from tritonforge.graph import cost
from tritonforge.graph.typed import Node, nodes, opsets
from tritonforge.placement import crossings, cuda, exceptions, tensorrt
from tritonforge.placement.inlining import inlined
from tritonforge.placement.matching import Accelerator, Reason, mismatch
from tritonforge.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A node and the provider that runs it; `reason` says why that is not the chosen one.

    `path` names the nodes whose subgraphs it lies in; `flops` is None where shapes are unknown;
    `widened` says that the CPU computes its half floats in float, for want of a kernel.
    """

    name: str
    op: str
    domain: str
    since: int
    path: tuple[str, ...]
    provider: Accelerator
    reason: Reason | None
    flops: int | None
    widened: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The nodes of a model and what it costs that they are apart, of its main graph.

    `islands` counts the parts that one provider runs without a break, `copies` the values that go
    between host and GPU inside the graph.
    """

    nodes: tuple[Placed, ...]
    islands: int
    copies: int


def predict(model: ModelProto, release: Release, accelerator: Accelerator) -> Prediction:
    """Return where the nodes of a model land; the model is as basic optimizations leave it.

    Raises `UnsoundError` for a model that cannot be resolved.
    """
    resolved = _resolved(model, release, accelerator)
    every = tuple(nodes(resolved.graph, opsets(resolved.opset_import)))
    weights = cuda.sizes(every)
    typed = [node for node in every if node.op != "Constant"]
    providers, reasons = _providers(typed, weights, release, accelerator)
    main = [index for index, node in enumerate(typed) if not node.path]
    graph, along = [typed[index] for index in main], [providers[index] for index in main]
    return Prediction(
        nodes=tuple(
            _placed(node, provider, reasons.get(id(node)), release)
            for node, provider in zip(typed, providers, strict=True)
        ),
        islands=crossings.islands(graph, along),
        copies=crossings.copies(graph, along, weights),
    )


def _resolved(model: ModelProto, release: Release, accelerator: Accelerator) -> ModelProto:
    """Return the typed model that is placed: operators without any kernel stand as their bodies."""

    def has_none(node: Node) -> bool:
        if accelerator in {"cuda", "tensorrt"} and mismatch(node, release, "cuda") is None:
            return False
        return mismatch(node, release, "cpu") is not None

    return inlined(model, has_none, first=exceptions.has_first_body(release))


def _providers(
    typed: Sequence[Node], weights: Mapping[str, int], release: Release, accelerator: Accelerator
) -> tuple[list[Accelerator], Mapping[int, Reason]]:
    """Ask the providers in turn, as ONNX Runtime does; the first reason of a node is told."""
    if accelerator not in {"cuda", "tensorrt"}:
        return ["cpu"] * len(typed), {}
    outside = tensorrt.left(typed, release) if accelerator == "tensorrt" else None
    taken = set() if outside is None else {id(node) for node in typed} - set(outside)
    on_cpu: dict[int, Reason] = {}
    for members in _by_graph(typed):
        on_cpu |= cuda.left(members, release, weights, taken)
    found: list[Accelerator] = []
    for node in typed:
        if id(node) in taken:
            found.append("tensorrt")
        else:
            found.append("cpu" if id(node) in on_cpu else "cuda")
    return found, on_cpu | (outside or {})


def _by_graph(typed: Sequence[Node]) -> Sequence[Sequence[Node]]:
    """Group nodes by the graph that they lie in."""
    groups: dict[int, list[Node]] = {}
    for node in typed:
        groups.setdefault(id(node.graph), []).append(node)
    return tuple(groups.values())


def _placed(node: Node, provider: Accelerator, reason: Reason | None, release: Release) -> Placed:
    return Placed(
        name=node.name,
        op=node.op,
        domain=node.domain,
        since=node.since,
        path=node.path,
        provider=provider,
        reason=reason,
        flops=cost.flops(node),
        widened=provider == "cpu"
        and "float16" in node.types.values()
        and mismatch(node, release, "cpu") is not None,
    )
