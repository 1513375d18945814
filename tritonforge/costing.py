"""What one row of a model costs, by which instances, threads and accelerators are chosen."""

from pathlib import Path

from tritonforge import figures, graph, samples
from tritonforge.spec import ModelSpec
from tritonforge.tensors import Signature


def row_flops(path: Path, signature: Signature, spec: ModelSpec) -> int | None:
    """Return the FLOPs of one row at typical sizes, None where not every operator's are known."""
    sizes = samples.typical(signature.dynamic, dict(spec.ranges))
    if signature.batch is not None:
        sizes[signature.batch] = 1
    found = graph.inspect(path, sizes)
    return None if found.uncounted else found.flops


def said(flops: int | None) -> str:
    """Say what a row costs, in three figures."""
    if flops is None:
        return "what a row takes is not known"
    return f"a row takes {figures.of(flops, 'FLOPs')}"
