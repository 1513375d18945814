"""What TensorRT wants of a file beyond a right export: its precision, and names for its engines.

Between adapters and use cases: it changes the file that an export wrote, and reads it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tritonforge import graph, knobs
from tritonforge.errors import SpecError, did_you_mean
from tritonforge.exported import Exported, read_back
from tritonforge.progress import Progress
from tritonforge.spec import ModelSpec

_PRECISION = "precision_mode"
_UNNAMED = (
    "no value inside the model could be named after its weights: TensorRT's cache would give"
    " another version of it this one's engine, so empty the cache with each"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The file as it is to be proven; `half` says that it computes in half floats."""

    exported: Exported
    half: bool

    def judged(self, spec: ModelSpec) -> ModelSpec:
        """Return the spec with the tolerance that the file's precision deserves."""
        return replace(spec, tolerance=replace(spec.tolerance, half=True)) if self.half else spec


def finish(path: Path, exported: Exported, spec: ModelSpec, progress: Progress) -> Finished:
    """Write the precision and a key of the weights into the file, where they belong there.

    Raises `SpecError` for a precision that the file would need and cannot get.
    """
    for_engines = spec.accelerator == "tensorrt"
    half = is_baked(spec)
    if not (half or for_engines):
        return Finished(exported=exported, half=False)
    model = graph.load(path)
    if for_engines and spec.precision == "int8" and not _can_quantize(spec):
        _check_quantized(graph.is_quantized(model), spec)
    way, notes = exported.exporter, list(exported.notes)
    if half:
        progress("writing half floats")
        graph.fits(model)
        model, half, told = _halved(path, spec)
        notes += told
        way += ", in half floats" if half else ""
    if for_engines:
        progress("naming what engines are cached by")
        if not graph.rename(model, graph.key(model, path.parent)):
            notes.append(_UNNAMED)
    graph.write(model, path, beside=spec.external_data)
    del model
    stamp, domains = exported.stamp, exported.domains
    again = read_back(path, way, stamp.opset, spec, domains, exported.sizes)
    return Finished(
        exported=replace(
            again,
            notes=tuple(notes),
            rewritten=exported.rewritten,
            fixed=exported.fixed,
            chosen=exported.chosen,
            decision=exported.decision,
        ),
        half=half,
    )


def _halved(path: Path, spec: ModelSpec) -> tuple[Any, bool, Sequence[str]]:
    """Return the model in half floats, or as it is; say whether it was changed, and what to tell.

    Raises `SpecError` for nodes to be kept in float that there are not.
    """
    model = graph.load(path, weights=True)
    graph.name_nodes(model)
    _check_names(model, spec)
    halved = graph.halve(model, spec.keep_float)
    return halved.model, halved.model is not model, halved.notes


def is_baked(spec: ModelSpec) -> bool:
    """Say whether half floats are to be written into the file: asked for, or else without effect.

    From TensorRT 11 on an engine computes in what the file says.
    """
    key = knobs.known("tensorrt")[_PRECISION]
    needed = spec.accelerator == "tensorrt" and key.idle(spec.target)
    return spec.precision == "fp16" and (spec.bake or needed)


def _check_names(model: Any, spec: ModelSpec) -> None:
    """Raise `SpecError` for nodes to be kept in float that there are not."""
    names = {node.name for node in model.graph.node}
    for name in sorted(spec.keep_float - names):
        raise SpecError(
            f"keep_float names {name!r}, which is no node of the model",
            hint=did_you_mean(name, names) or "tritonforge place --nodes lists them",
            at=("keep_float",),
        )


def _can_quantize(spec: ModelSpec) -> bool:
    """Say whether TensorRT quantizes by a table that was measured."""
    key = knobs.known("tensorrt")["int8_calibration_table_name"]
    return key.name in spec.tensorrt and not key.idle(spec.target)


def _check_quantized(quantized: bool, spec: ModelSpec) -> None:  # noqa: FBT001 - a fact
    """Raise `SpecError` where nothing says how floats become whole numbers."""
    if not quantized:
        raise SpecError(
            f"TensorRT of {spec.target.tag} computes in int8 what QuantizeLinear and"
            " DequantizeLinear frame, and the model has none",
            hint="quantize it first, or choose another --precision",
            at=("precision",),
        )
