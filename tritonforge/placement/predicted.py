"""Where each node of a model lands in a release, foretold from its tables."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

from tritonforge.graph.typed import Node, Resolved
from tritonforge.placement import crossings, cuda, exceptions, tensorrt
from tritonforge.placement.inlining import inlined
from tritonforge.placement.matching import Reason, has_kernel, mismatch
from tritonforge.release import Release
from tritonforge.spec import ON_GPU, Accelerator

Costs = Callable[[Resolved], Mapping[int, int | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A node and the provider that runs it; `reason` says why that is not the chosen one.

    `path` names the nodes whose subgraphs it lies in; `inlined` names the node of the model whose
    body it is part of, put in for want of a kernel; `flops` is None where shapes are unknown;
    `widened` says that the CPU computes its half floats in float, for want of a kernel; `hosted`
    that CUDA leaves it to the CPU on purpose, since it computes a shape.
    """

    name: str
    op: str
    domain: str
    since: int
    path: tuple[str, ...]
    inlined: str | None
    provider: Accelerator
    reason: Reason | None
    flops: int | None
    widened: bool
    hosted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The nodes of a model and what it costs that they are apart, of its main graph.

    `islands` counts the parts that one provider runs without a break, `copies` the values that go
    between host and GPU inside the graph.
    """

    nodes: tuple[Placed, ...]
    islands: int
    copies: int


def predict(
    given: Resolved, release: Release, accelerator: Accelerator, costs: Costs
) -> Prediction:
    """Return where the nodes of a model land; the model is as basic optimizations leave it.

    `costs` tells what the nodes of a model cost. Raises `UnsoundError` where an operator's body
    cannot be resolved.
    """
    whole, stood, settled = _whole(given, release, accelerator)
    flops = costs(whole)
    weights = cuda.sizes(whole.nodes)
    typed = _placed(whole)
    providers, reasons, hosted = _providers(typed, weights, release, accelerator, settled)
    main = [index for index, node in enumerate(typed) if not node.path]
    graph, along = [typed[index] for index in main], [providers[index] for index in main]
    return Prediction(
        nodes=tuple(
            Placed(
                name=node.name,
                op=node.op,
                domain=node.domain,
                since=node.since,
                path=node.path,
                inlined=next((stood[name] for name in node.proto.output if name in stood), None),
                provider=provider,
                reason=reasons.get(id(node)),
                flops=flops[id(node)],
                widened=provider == "cpu" and _is_widened(node, release),
                hosted=id(node) in hosted,
            )
            for node, provider in zip(typed, providers, strict=True)
        ),
        islands=crossings.islands(graph, along),
        copies=crossings.copies(graph, along, weights),
    )


def _whole(
    given: Resolved, release: Release, accelerator: Accelerator
) -> tuple[Resolved, Mapping[str, str], Mapping[cuda.Place, Reason | None]]:
    """Return the model that is placed: operators without any kernel stand as their bodies.

    And what each value of a body stood for, see `inlined`, and what CUDA said of the others before:
    ONNX Runtime places what it can, puts bodies in for the rest, and then places those.
    """
    settled: dict[cuda.Place, Reason | None] = {}

    def has_none(node: Node) -> bool:
        return not has_kernel(node, release, accelerator)

    def settle(before: Resolved) -> None:
        typed = _placed(before)
        left = _left(typed, cuda.sizes(before.nodes), release, (), settled)
        for node in typed:
            if not has_none(node):
                settled.setdefault(cuda.place(node), left.get(id(node)))

    first = exceptions.has_first_body(release)
    before = settle if accelerator == "cuda" else None
    whole, stood = inlined(given, has_none, first=first, before=before)
    return whole, stood, settled


def _placed(model: Resolved) -> list[Node]:
    """Return the nodes that a provider runs."""
    return [node for node in model.nodes if node.op != "Constant"]


def _is_widened(node: Node, release: Release) -> bool:
    """Say whether the CPU has no kernel for the half floats of a node."""
    return "float16" in node.types.values() and mismatch(node, release, "cpu") is not None


def _providers(
    typed: Sequence[Node],
    weights: Mapping[str, int],
    release: Release,
    accelerator: Accelerator,
    settled: Mapping[cuda.Place, Reason | None],
) -> tuple[list[Accelerator], Mapping[int, Reason], Container[int]]:
    """Ask the providers in turn, as ONNX Runtime does; the first reason of a node is told.

    And which nodes CUDA leaves to the CPU since they compute shapes, by their `id`.
    """
    if accelerator not in ON_GPU:
        return ["cpu"] * len(typed), {}, ()
    outside = tensorrt.left(typed, release) if accelerator == "tensorrt" else None
    taken = set() if outside is None else {id(node) for node in typed} - outside.keys()
    on_cpu = _left(typed, weights, release, taken, settled)
    found: list[Accelerator] = []
    for node in typed:
        if id(node) in taken:
            found.append("tensorrt")
        else:
            found.append("cpu" if id(node) in on_cpu else "cuda")
    hosted = {key for key, reason in on_cpu.items() if reason.kind == "shape"}
    return found, on_cpu | (outside or {}), hosted


def _left(
    typed: Sequence[Node],
    weights: Mapping[str, int],
    release: Release,
    taken: Container[int],
    settled: Mapping[cuda.Place, Reason | None],
) -> dict[int, Reason]:
    """Return which nodes CUDA leaves to the CPU; each graph is placed by itself."""
    found: dict[int, Reason] = {}
    for members in _by_graph(typed):
        found |= cuda.left(members, release, weights, taken, settled)
    return found


def _by_graph(typed: Sequence[Node]) -> Sequence[Sequence[Node]]:
    """Group nodes by the graph that they lie in."""
    groups: dict[int, list[Node]] = {}
    for node in typed:
        groups.setdefault(id(node.graph), []).append(node)
    return tuple(groups.values())
