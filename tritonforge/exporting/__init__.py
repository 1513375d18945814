"""From a loaded source to an `.onnx` file that fits the target, by whichever way gets there.

Between adapters and use cases: it composes `export` (torch) and `graph` (onnx).
"""

from dataclasses import replace
from pathlib import Path

from tritonforge.errors import ExportError
from tritonforge.exported import Exported
from tritonforge.exporting.adopting import adopt
from tritonforge.exporting.attempts import exported
from tritonforge.progress import Progress
from tritonforge.sources import Loaded
from tritonforge.spec import ModelSpec

__all__ = ["make"]


def make(loaded: Loaded, spec: ModelSpec, path: Path, progress: Progress) -> Exported:
    """Write the source to `path` at the opset and IR that the target takes, verified.

    Raises `ExportError` or `GraphError` where no way leads there.
    """
    if loaded.path is not None:
        return adopt(loaded.path, spec, path, progress)
    if loaded.module is None:
        raise ExportError("the source holds neither a module nor a file")
    given, fixed, notes = loaded, None, tuple[str, ...]()
    calls: list[ExportError] = []
    while True:
        try:
            made = exported(given, spec, path, progress)
            return replace(made, fixed=fixed, notes=(*notes, *made.notes))
        except ExportError as error:
            if _is_call(error):  # what fails by its batch does not fail without one
                calls.append(error)
            lost = _lost(error, given, spec)
            if lost is None:
                raise calls[0] if _is_call(error) else error from None
        dim, why = lost
        given, size = _fix(dim, given, spec)
        if dim == "batch":
            fixed = why
        else:
            notes += (f"{dim} is always {size}, pad requests to that: {why}",)


def _is_call(error: ExportError) -> bool:
    """Say whether the module itself failed, and no exporter."""
    from tritonforge import export

    return isinstance(error, export.CallError)


def _lost(error: ExportError, loaded: Loaded, spec: ModelSpec) -> tuple[str, str] | None:
    """Name the dimension that cannot be dynamic, and say why; None where it was asked for."""
    from tritonforge import export

    if loaded.asked:
        return None
    if isinstance(error, export.CallError):
        why = f"it fails on another batch: {error.said}"
        return ("batch", why) if any("batch" in each.dims for each in loaded.inputs) else None
    found = getattr(error, "failure", None)
    if found is None or found.frozen is None:
        return None
    which, axis, _ = found.frozen
    by_name = {each.name: each for each in loaded.inputs}
    dim = (by_name[which] if which in by_name else loaded.inputs[int(which)]).dims[axis]
    wished = dim != "batch" and dict(spec.ranges).get(str(dim)) != loaded.ranges.get(str(dim))
    return None if isinstance(dim, int) or wished else (dim, found.said)


def _fix(dim: str, loaded: Loaded, spec: ModelSpec) -> tuple[Loaded, int]:
    """Give a dimension the size of its example, else the largest of its range, and a batch one."""
    sizes = {
        name: int(size)
        for each in loaded.inputs
        if (example := loaded.examples.get(each.name)) is not None
        for name, size in zip(each.dims, example.shape, strict=True)
        if isinstance(name, str)
    }
    largest = None if dim == "batch" else dict(spec.ranges).get(dim)
    size = sizes.get(dim) or (largest.high if largest is not None else None) or 1
    inputs = tuple(
        replace(each, dims=tuple(size if name == dim else name for name in each.dims))
        for each in loaded.inputs
    )
    return replace(loaded, inputs=inputs), size
