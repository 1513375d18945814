"""How many instances run a model, with how many threads each: by what a run costs.

A model that computes little pays for handing work to threads and gains nothing; a large one gains
from all cores in one instance, where several instances with threads of their own get in each
other's way.
"""

from dataclasses import dataclass

from tritonforge.costing import said
from tritonforge.spec import ON_GPU, ModelSpec

# FLOPs of a row below which one thread serves more than two do. Measured on two cores at a
# concurrency of 16, one thread over two: an MLP of 9 MFLOPs 1.4, convolutions of 23 MFLOPs 1.0, of
# 27 MFLOPs 0.8, of 83 MFLOPs 0.7.
SMALL = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Instances, threads of each (None: as many as there are cores), and why."""

    count: int
    threads: int | None
    reason: str


def parallel(flops: int | None, spec: ModelSpec) -> Parallel:
    """Choose instances and threads from the cost of one row and what is known of the server."""
    if spec.accelerator in ON_GPU:
        return Parallel(
            count=1,
            threads=None,
            reason="one instance for each GPU: batches fill it better than a second instance does",
        )
    if spec.accelerator == "openvino":
        return Parallel(
            count=1,
            threads=None,
            reason="one instance on the CPU: OpenVINO shares the cores out by itself",
        )
    cost = said(flops)
    if flops is not None and flops < SMALL:
        return Parallel(
            count=max((spec.cores or 1) // 2, 1),
            threads=1,
            reason=f"{cost}: too little to share between threads, so each instance has one, and"
            " the server the other cores",
        )
    whole = f"all {spec.cores}" if spec.cores else "all"
    return Parallel(
        count=1,
        threads=spec.cores,
        reason=f"{cost}: one instance with {whole} cores, as several would contend for them",
    )
