"""Why a model fails on a sample that was made for it: a size is frozen, or values do not suit."""

import numpy as np

from tritonforge import samples
from tritonforge.errors import ExportError, ForgeError, GateError, GraphError
from tritonforge.proving.case import Case
from tritonforge.spec import Domain
from tritonforge.tensors import Arrays, Run, TensorSpec

_SEEDS = 4  # so many samples are tried to find one that the model takes


def why(
    case: Case, run: Run, sizes: samples.Sizes, said: str, hint: str | None = None
) -> ExportError | GateError:
    """Say why the file fails where its original does not."""
    return _frozen(case, run, sizes) or GateError(said, hint=hint)


def why_at_all(case: Case, run: Run, sizes: samples.Sizes, error: GraphError) -> ForgeError:
    """Say why the original fails: where it is the same file, by a frozen size, else by values."""
    return _frozen(case, run, sizes) or GraphError(
        f"{error.message}; {', '.join(_origin(case, each) for each in case.signature.inputs)}",
        hint=_hint(case, error),
    )


def _frozen(case: Case, run: Run, sizes: samples.Sizes) -> ExportError | None:
    """Find the dimension that alone makes the file fail, changing one at a time.

    The values are those of a sample that works, cut or repeated, so that they are not to blame.
    """
    working = _working(case, run)
    if working is None:
        return None
    for name, size in sizes.items():
        at = case.export_sizes.get(name)
        shapes = {**case.export_sizes, name: size}
        if size != at and not _runs(run, _resized(case, working, shapes)):
            return ExportError(
                f"dimension {name!r} was frozen at export: the file works at {at}, not at {size}",
                hint="compute with x.shape instead of fixed sizes; try --exporter dynamo; "
                f"or bound it with --range {name}=LOW..HIGH",
            )
    return None


def _working(case: Case, run: Run) -> Arrays | None:
    """Return a sample of the sizes of the export that the file takes, None where it takes none."""
    drawn = (case.draw(case.export_sizes, seed) for seed in range(_SEEDS))
    return next((sample for sample in drawn if _runs(run, sample)), None)


def _runs(run: Run, sample: Arrays) -> bool:
    try:
        run(sample)
    except GraphError:
        return False
    return True


def _resized(case: Case, sample: Arrays, sizes: samples.Sizes) -> Arrays:
    """Cut or repeat the arrays of a sample along each axis."""
    resized = {}
    for tensor in case.signature.inputs:
        array = sample[tensor.name]
        for axis, size in enumerate(tensor.shape(sizes)):
            array = np.take(array, np.arange(size) % array.shape[axis], axis)
        resized[tensor.name] = array
    return resized


def _origin(case: Case, tensor: TensorSpec) -> str:
    """Say where the values of an input come from."""
    domain = case.domains.get(tensor.name) or Domain.default(tensor.dtype)
    if domain.kind == "recorded":
        return f"{tensor.name!r} was taken from --sample"
    return f"{tensor.name!r} was drawn from {domain}"


def _hint(case: Case, error: GraphError) -> str:
    """Say what makes the values suit the model."""
    recorded = [name for name, domain in case.domains.items() if domain.kind == "recorded"]
    if recorded:
        return f"record values of {', '.join(recorded)} that the model takes, for its --sample"
    given = "give recorded values by --sample"
    return given if error.hint is None else f"{error.hint}, or {given}"
