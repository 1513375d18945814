"""Which accelerator a model is built for where that is left open: by its placement and its cost.

What the server has is declared, never looked up: the machine that builds is not the one that
serves.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tritonforge import costing, graph, placement
from tritonforge.graph import lean
from tritonforge.placement import Placement
from tritonforge.spec import ON_GPU, Accelerator, ModelSpec
from tritonforge.tensors import Signature

# A run below this is over sooner than a GPU has been asked; above the other, engines pay.
_SMALL, _BIG = 50_000_000, 1_000_000_000
_FULL_BATCH = 8
_MOST = 0.95  # of the FLOPs, which TensorRT must take for the cut to pay
_CUT = 0.1  # of the nodes, which it may leave to others
_NAMED = 4  # operators in a reason
_WILD = 64  # times the smallest size of a dimension: one engine cannot be tuned for all


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An accelerator, and why it is that one."""

    accelerator: Accelerator
    reason: str


def provisional(spec: ModelSpec) -> ModelSpec:
    """Return the spec under which a model is first written, that it can be looked at."""
    if spec.accelerator != "auto":
        return spec
    return replace(spec, accelerator="cuda" if spec.device == "gpu" else "cpu")


def decided(path: Path, spec: ModelSpec) -> Decision | None:
    """Decide for a file; None where the accelerator was asked for."""
    if spec.accelerator != "auto":
        return None
    if spec.device == "cpu":
        return Decision(accelerator="cpu", reason="accelerator cpu: the server has no GPU")
    signature = graph.signature(lean.read(path))
    flops = costing.row_flops(path, signature, spec)
    placed = next(placement.place(path, (spec.target,), "tensorrt"))
    accelerator, reason = next(_reasons(spec, flops, placed, _wild(signature, spec)))
    return Decision(accelerator=accelerator, reason=f"accelerator {accelerator}: {reason}")


def under(spec: ModelSpec, decision: Decision | None) -> ModelSpec:
    """Return the spec of a decision, where one was left open: what it is for, the server has.

    Without a GPU there are no nodes that it could lose.
    """
    if decision is None:
        return spec
    if decision.accelerator in ON_GPU:
        return replace(spec, accelerator=decision.accelerator)
    return replace(
        spec,
        accelerator=decision.accelerator,
        device="cpu",
        max_cpu_nodes=None,
        allow_cpu=frozenset(),
    )


def _reasons(
    spec: ModelSpec, flops: int | None, placed: Placement, wild: str | None
) -> Iterator[tuple[Accelerator, str]]:
    """Yield what speaks for an accelerator, the strongest reason first."""
    cost = f"{costing.said(flops)} in batches up to {spec.max_batch_size}"
    share = (placed.shares or {}).get("tensorrt", 0.0)
    takes = f"TensorRT {spec.target.parser} takes {share:.0%} of them"
    if placed.refusal is not None:
        yield "cuda", f"with TensorRT ONNX Runtime would refuse it: {placed.refusal}"
    if spec.precision == "int8" or "trt_dla_enable" in spec.tensorrt:
        what = "int8" if spec.precision == "int8" else "the DLA"
        yield "tensorrt", f"{what} is TensorRT's, which takes {share:.0%} of the FLOPs"
    if wild is not None:
        yield "cuda", wild
    if flops is not None and flops < _SMALL:
        yield "cpu", f"{costing.said(flops)}: a CPU may answer before a GPU does; measure both"
    if share < _MOST or len(placed.lost) > _CUT * len(placed.nodes):
        ops = dict.fromkeys(node.op for node in placed.lost)
        yield "cuda", f"{cost}; {takes}, without {', '.join([*ops][:_NAMED])}: it would be cut up"
    if flops is not None and flops >= _BIG and spec.max_batch_size >= _FULL_BATCH:
        yield "tensorrt", f"{cost}, and {takes}"
    yield "cuda", f"{cost}: engines of TensorRT would gain little"


def _wild(signature: Signature, spec: ModelSpec) -> str | None:
    """Say which dimension takes too many sizes for an engine, None where none does."""
    ranges = dict(spec.ranges)
    for name in signature.dynamic:
        size = ranges.get(name)
        if name == signature.batch and spec.max_batch_size:
            continue
        if size is None or size.high is None:
            return f"dimension {name!r} has no upper end, and engines are built for sizes"
        if size.high > _WILD * size.low and not spec.profiles:
            return f"dimension {name!r} goes from {size.low} to {size.high}, too far for an engine"
    return None
