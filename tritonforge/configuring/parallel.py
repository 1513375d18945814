"""How many instances run a model, with how many threads each: by what a run costs.

A model that computes little pays for handing work to threads and gains nothing; a large one gains
from all cores in one instance, where several instances with threads of their own get in each
other's way.
"""

from dataclasses import dataclass
from pathlib import Path

from tritonforge import graph, samples
from tritonforge.spec import ON_GPU, ModelSpec
from tritonforge.tensors import Signature

# FLOPs of a row below which one thread is faster than several; measured by scripts/bench.
SMALL = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Instances, threads of each (None: as many as there are cores), and why."""

    count: int
    threads: int | None
    reason: str


def row_flops(path: Path, signature: Signature, spec: ModelSpec) -> int | None:
    """Return the FLOPs of one row at typical sizes, None where not every operator's are known."""
    sizes = samples.typical(signature.dynamic, dict(spec.ranges))
    if signature.batch is not None:
        sizes[signature.batch] = 1
    found = graph.inspect(path, sizes)
    return None if found.uncounted else found.flops


def parallel(flops: int | None, spec: ModelSpec) -> Parallel:
    """Choose instances and threads from the cost of one row and what is known of the server."""
    if spec.accelerator in ON_GPU:
        return Parallel(
            count=1,
            threads=None,
            reason="one instance for each GPU: batches fill it better than a second instance does",
        )
    cost = "what a row takes is not known" if flops is None else f"a row takes {_short(flops)}FLOPs"
    if flops is not None and flops < SMALL:
        return Parallel(
            count=spec.cores or 1,
            threads=1,
            reason=f"{cost}: too little to share between threads, so each instance has one",
        )
    whole = f"all {spec.cores}" if spec.cores else "all"
    return Parallel(
        count=1,
        threads=spec.cores,
        reason=f"{cost}: one instance with {whole} cores, as several would contend for them",
    )


def _short(flops: int) -> str:
    """Write a number with three figures and its unit."""
    scaled = float(flops)
    for unit in ("", "k", "M", "G", "T"):
        if scaled < 999.5:
            return f"{scaled:.3g} {unit}"
        scaled /= 1000
    return f"{scaled:.3g} P"
