"""Whether releases load a model, and where its nodes land in each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnx import ModelProto, TensorProto

from tritonforge.errors import ForgeError, GraphError
from tritonforge.graph import lean
from tritonforge.graph.examined import costs
from tritonforge.graph.external import externals, take_in
from tritonforge.graph.halves import half_of, swap
from tritonforge.graph.naming import name_nodes
from tritonforge.graph.optimized import optimized, optimized_around
from tritonforge.graph.ordering import sort
from tritonforge.graph.raised import hides_values, raise_weights
from tritonforge.graph.running import runtime
from tritonforge.graph.schemas import MAIN, schema
from tritonforge.graph.typed import Node, Resolved, UnsoundError, resolved
from tritonforge.placement import normalized, recast, tensorrt
from tritonforge.placement.inlining import expanded
from tritonforge.placement.predicted import Costs, Placed, Prediction, predict
from tritonforge.placement.verdict import Read, matches, read, refusal
from tritonforge.release import RUNTIME, Release, find
from tritonforge.spec import ON_GPU, Accelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What a release makes of a model of some opset.

    `refusal` says why it does not load it, `prediction` is None then. `unoptimized` says why the
    graph is placed as it is in the file, None where the runtime's basic optimizations went before.
    """

    release: Release
    accelerator: Accelerator
    opset: int
    refusal: str | None
    unoptimized: str | None
    prediction: Prediction | None

    @property
    def nodes(self) -> tuple[Placed, ...]:
        """Return the nodes that are placed, none where the model is refused."""
        return () if self.prediction is None else self.prediction.nodes

    @property
    def lost(self) -> tuple[Placed, ...]:
        """Return the nodes that the chosen provider does not run."""
        return tuple(node for node in self.nodes if node.provider != self.accelerator)

    @property
    def counts(self) -> Mapping[Accelerator, int]:
        """Return the number of nodes of each provider, the most first."""
        return dict(Counter(node.provider for node in self.nodes).most_common())

    @property
    def uncounted(self) -> tuple[Placed, ...]:
        """Return the nodes whose floating-point operations are unknown."""
        return tuple(node for node in self.nodes if node.flops is None)

    @property
    def shares(self) -> Mapping[Accelerator, float] | None:
        """Return each provider's share of the floating-point operations that are known.

        None where none are.
        """
        whole = sum(node.flops or 0 for node in self.nodes)
        if not whole:
            return None
        return {
            provider: sum(node.flops or 0 for node in self.nodes if node.provider == provider)
            / whole
            for provider in self.counts
        }


def place(
    path: Path,
    releases: Iterable[Release],
    accelerator: Accelerator,
    sizes: Mapping[str, int] | None = None,
) -> Iterator[Placement]:
    """Yield what each release makes of a file; `sizes` gives dynamic dimensions for the FLOPs.

    Raises `GraphError` for a damaged file.
    """
    model = lean.read(path)
    faults = (each.fault for each in externals(path, model) if each.fault is not None)
    fault = next(faults, None)
    yield from place_model(prepared(path, model), releases, accelerator, sizes, fault=fault)


def model_of(path: Path) -> ModelProto:
    """Read a file to place it, large weights left out; raises `GraphError` for a damaged one."""
    return prepared(path, lean.read(path))


def prepared(path: Path, model: ModelProto) -> ModelProto:
    """Take small weights in from other files, name and order the nodes, in place."""
    take_in(path, model)
    name_nodes(model)  # as they are named where they are observed, by their place in the file
    sort(model.graph)
    raise_weights(model)
    return model


def place_model(
    model: ModelProto,
    releases: Iterable[Release],
    accelerator: Accelerator,
    sizes: Mapping[str, int] | None = None,
    fault: str | None = None,
) -> Iterator[Placement]:
    """Yield what each release makes of a model; those that run the same are worked out once.

    `fault` says what is wrong with its weights, so that none loads it.
    """
    given = read(model)
    graph, unoptimized = as_placed(given)
    if fault is None and (unoptimized is not None or half_of(model) is not None):
        fault = _unforeseen(model, given)
    counted = _costs(sizes or {})
    made: dict[tuple[Any, ...], Placement] = {}
    for release in releases:
        same = (release.minor, release.parser if accelerator == "tensorrt" else None)
        if same not in made:
            refused, prediction = fault, None
            if fault is None:
                refused, prediction = _foretold(given, graph, release, accelerator, counted)
            made[same] = Placement(
                release=release,
                accelerator=accelerator,
                opset=given.opsets.get(MAIN, 0),
                refusal=refused,
                unoptimized=unoptimized,
                prediction=prediction,
            )
        yield replace(made[same], release=release)


def _foretold(
    given: Read, graph: Resolved | None, release: Release, accelerator: Accelerator, counted: Costs
) -> tuple[str | None, Prediction | None]:
    """Return why a release refuses a model, or where its nodes land."""
    gpu = accelerator in ON_GPU
    fault = refusal(given, release, gpu=gpu)
    if fault is not None or graph is None:
        return fault, None
    taken = tensorrt.taken(graph.nodes, release) if accelerator == "tensorrt" else ()
    fault = recast.crash(graph.nodes, release, gpu=gpu, taken=taken)
    fault = fault or (None if gpu else normalized.fault(graph.nodes, release))
    if fault is not None:
        return fault, None
    try:
        return None, predict(graph, release, accelerator, counted)
    except UnsoundError as error:
        return str(error), None


def as_placed(given: Read) -> tuple[Resolved | None, str | None]:
    """Return the graph after basic optimizations, else as it is and why; None if unsound."""
    if given.resolved is None:
        return None, given.fault
    try:
        return resolved(_optimized(given.resolved)), None
    except (ForgeError, UnsoundError) as error:
        return given.resolved, str(error)


def _unforeseen(model: ModelProto, given: Read) -> str | None:
    """Say what the installed ONNX Runtime refuses a model for and no table tells, None if nothing.

    Such is a graph that is none, or the value of an attribute. Others are taken to refuse it as
    well. Where values were left out that it would miss, it is not asked.
    """
    if hides_values(model) or refusal(given, installed()) is not None:
        return None
    try:
        optimized(model)
    except (GraphError, UnsoundError) as error:
        return str(error)
    return None


def _optimized(given: Resolved) -> ModelProto:
    """Optimize a graph, what the installed ONNX Runtime has no kernel for aside.

    Half floats are shown to it as doubles: for those it would insert casts.
    """
    here = installed()
    half = half_of(given.model)
    if half is not None:
        model = ModelProto()
        model.CopyFrom(given.model)
        swap(model.graph, half, TensorProto.DOUBLE)
        given = resolved(model)

    def is_foreign(node: Node) -> bool:
        return node.op != "Constant" and not matches(node, here)

    found = optimized_around(given, is_foreign)
    if half is not None:
        swap(found.graph, TensorProto.DOUBLE, half)
    return found


def _costs(sizes: Mapping[str, int]) -> Costs:
    """Return what counts the FLOPs of a model's nodes at these sizes, once a model."""
    known: dict[int, tuple[Resolved, Mapping[int, int | None]]] = {}

    def counted(given: Resolved) -> Mapping[int, int | None]:
        if id(given) not in known:
            known[id(given)] = (given, costs(given, sizes))
        return known[id(given)][1]

    return counted


def written_out(model: ModelProto, graph: Resolved, opset: int) -> Resolved:
    """Return a placed graph in which others stand for the operators that an opset lacks.

    It is as given where it lacks none, or where they have no body. All that is newer is written
    out then, as a conversion does.
    """

    def is_lacking(node: Node) -> bool:
        return node.domain == MAIN and schema(MAIN, node.op, opset) is None

    def is_newer(node: Node) -> bool:
        return node.domain == MAIN and node.since > opset

    if not any(map(is_lacking, graph.nodes)):
        return graph
    try:
        found, _ = as_placed(read(expanded(model, is_newer)))
    except UnsoundError:
        return graph
    return graph if found is None else found


def installed() -> Release:
    """Return the installed ONNX Runtime as a target; raises `SpecError` where it is not known."""
    return find(f"{RUNTIME}{runtime()}")
