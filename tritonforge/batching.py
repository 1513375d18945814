"""Whether a model can batch: a server merges the rows of several requests into one run."""

from collections.abc import Mapping

import numpy as np

from tritonforge import gate
from tritonforge.spec import Tolerance
from tritonforge.tensors import Arrays, Run, Signature

# So many rows are compared with the same rows alone; enough to tell, not too dear.
ROWS = 8


def refused(signature: Signature) -> str | None:
    """Say why a signature cannot batch, None where it can."""
    if signature.batch is not None:
        return None
    for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for tensor in tensors:
            if not tensor.dims:
                return f"{kind} {tensor.name!r} is a scalar"
            if not isinstance(tensor.dims[0], str):
                return f"the first dimension of {kind} {tensor.name!r} is fixed at {tensor.dims[0]}"
    return "the first dimensions of the inputs are not the same one"


def entangled(
    run: Run, batch: Arrays, tolerance: Tolerance, noise: Mapping[str, float] | None = None
) -> str | None:
    """Say how the rows of a batch depend on each other, None where each could have come alone.

    `noise` is how far an output may differ for reasons of rounding alone.
    """
    together = run(batch)
    count = next(len(array) for array in batch.values())
    for name, array in together.items():
        if array.ndim == 0 or len(array) != count:
            return f"output {name!r} has {array.shape[:1]} rows for a batch of {count}"
    alone = [
        run({name: array[row : row + 1] for name, array in batch.items()}) for row in range(count)
    ]
    for name, array in together.items():
        if any(len(one[name]) != 1 or one[name].shape[1:] != array.shape[1:] for one in alone):
            return f"output {name!r} changes its shape with the batch"
    got = {name: np.concatenate([one[name] for one in alone]) for name in together}
    report = gate.compare([(together, got)], tolerance, noise)
    if report.passed:
        return None
    worst = max(report.outputs, key=lambda output: output.needed_atol)
    return (
        "a row's result depends on the rest of its batch"
        f" (output {worst.name!r} differs by {worst.max_abs:.3g})"
    )
