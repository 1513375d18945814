"""From a loaded source to an `.onnx` file that fits the target, by whichever way gets there.

Between adapters and use cases: it composes `export` (torch) and `graph` (onnx).
"""

import shutil
import tempfile
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge import converting, graph, opsets, runtime, samples
from tritonforge.errors import ExportError, GraphError
from tritonforge.progress import Progress
from tritonforge.sources import Loaded
from tritonforge.spec import Domain, ModelSpec
from tritonforge.tensors import Dim, Signature, TensorSpec

if TYPE_CHECKING:
    from torch import nn

    from tritonforge.export import Method

# A dimension of size 1 broadcasts, so an exporter may bake it in; two is the smallest honest batch.
EXPORT_BATCH = 2
_FOREIGN_HINT = "the file asks for what this ONNX Runtime lacks: export it again, or mend it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An `.onnx` file and how it came about.

    `exporter` says in words which way was taken. `sizes` are those of the sample it was exported
    with; `conditions` name the values that decide its If nodes, `hidden_conditions` counts those
    that cannot be named. `loaded_by` is the target's ONNX Runtime where it has tried. `notes` are
    for the user. `fixed` says why a dynamic batch was given up, None where it was not. `chosen`
    says why it is this opset, None where that was asked for.
    """

    exporter: str
    stamp: graph.Stamp
    signature: Signature
    domains: Mapping[str, Domain]
    conditions: tuple[str, ...]
    hidden_conditions: int = 0
    sizes: samples.Sizes
    loaded_by: str | None
    notes: tuple[str, ...] = ()
    fixed: str | None = None
    chosen: str | None = None


def make(loaded: Loaded, spec: ModelSpec, path: Path, progress: Progress) -> Exported:
    """Write the source to `path` at the opset and IR that the target takes, verified.

    Raises `ExportError` or `GraphError` where no way leads there.
    """
    if loaded.path is not None:
        return _adopt(loaded.path, spec, path, progress)
    if loaded.module is None:
        raise ExportError("the source holds neither a module nor a file")
    try:
        return _export(loaded.module, loaded, spec, path, progress)
    except ExportError as error:
        found = getattr(error, "failure", None)
        if loaded.asked or found is None or found.kind != "frozen":
            raise
        fixed = replace(loaded, inputs=tuple(_fix(each, loaded) for each in loaded.inputs))
        made = _export(loaded.module, fixed, spec, path, progress)
        return replace(made, fixed=found.said)


def _fix(tensor: TensorSpec, loaded: Loaded) -> TensorSpec:
    """Give a tensor the fixed batch of its example."""
    example = loaded.examples.get(tensor.name)
    size = int(example.shape[0]) if example is not None and example.ndim else 1
    return replace(tensor, dims=tuple(size if dim == "batch" else dim for dim in tensor.dims))


def _export(
    module: "nn.Module", loaded: Loaded, spec: ModelSpec, path: Path, progress: Progress
) -> Exported:
    """Try the exporters in order until one file carries the pinned opset."""
    from tritonforge import export

    domains = {**loaded.domains, **dict(spec.domains)}
    sizes = _sizes(Signature(inputs=loaded.inputs, outputs=()).dynamic, spec)
    sample = samples.draw(loaded.inputs, domains, sizes, spec.sample_seed)
    outputs = export.output_names(module, [each.name for each in loaded.inputs], sample)

    def write(opset: int) -> Exported:
        troubles: list[ExportError | GraphError] = []
        for method in _methods(spec, scripted=export.is_scripted(module)):
            progress(f"exporting with {method}")
            try:
                notes = export.export(
                    module, loaded.inputs, outputs, sample, path, method=method, opset=opset
                )
                way = _fit(path, method, opset, spec)
                described = _read_back(path, way, opset, spec, loaded.domains, sizes)
                _hold(described.signature, loaded.inputs)
                return replace(described, notes=notes)
            except (ExportError, GraphError) as error:
                troubles.append(error)
                found = getattr(error, "failure", None)
                # Tracing would follow one branch and freeze one size in silence: no second try.
                if found is not None and found.kind in {"control-flow", "frozen"}:
                    break
        raise troubles[0]

    if spec.opset is not None:
        return write(spec.target.check_opset(spec.opset))
    native = export.NATIVE[_methods(spec, scripted=export.is_scripted(module))[0]]
    first = write(min(native[-1], spec.target.opset))
    return _improved(first, path, spec, export.NATIVE[_method(first)], write)


def _method(exported: Exported) -> "Method":
    """Return the exporter that a file was written with."""
    return "torchscript" if exported.exporter.startswith("torchscript") else "dynamo"


def _improved(
    first: Exported,
    path: Path,
    spec: ModelSpec,
    native: Container[int],
    write: Callable[[int], Exported],
) -> Exported:
    """Write the model at the opset where it keeps its provider, if that is another one."""
    options = opsets.ranked(path, spec, native)
    for option in options:
        if option.opset == first.stamp.opset:
            break
        with tempfile.TemporaryDirectory(dir=path.parent) as aside:
            kept = Path(shutil.copy2(path, aside))
            try:
                made = write(option.opset)
            except (ExportError, GraphError):  # no way leads there: the next best
                kept.replace(path)
                continue
        return replace(made, chosen=opsets.reason(option.opset, options, spec))
    return replace(first, chosen=opsets.reason(first.stamp.opset, options, spec))


def _sizes(dynamic: tuple[str, ...], spec: ModelSpec) -> dict[str, int]:
    """Choose the sizes to export with: none is 1, and no two are the same.

    An exporter takes two dimensions of one size for one dimension, and 1 for a constant.
    """
    ranges = dict(spec.ranges)
    chosen: dict[str, int] = {}
    for name, size in samples.typical(dynamic, ranges).items():
        size = EXPORT_BATCH if name == "batch" else max(size, 2)  # noqa: PLW2901 - the same size
        step = ranges[name].step if name in ranges else 1
        while size in chosen.values():
            size += step  # noqa: PLW2901 - likewise
        chosen[name] = size
    return chosen


def _methods(spec: ModelSpec, *, scripted: bool) -> "tuple[Method, ...]":
    """Name the exporters to try, in order."""
    if spec.exporter != "auto":
        return (spec.exporter,)
    return ("torchscript",) if scripted else ("dynamo", "torchscript")


def _fit(path: Path, way: str, opset: int, spec: ModelSpec) -> str:
    """Bring a file to the pinned opset and the target's IR, and say how."""
    model = graph.load(path)
    written = graph.stamp_of(model)
    if written.opset != opset:
        model = converting.converted(model, opset, spec)
        way = f"{way}, converted from opset {written.opset}"
    if graph.stamp_of(model) != written or model.ir_version != spec.target.ir:
        model.ir_version = spec.target.ir
        graph.write(model, path)
    return way


def _read_back(
    path: Path,
    way: str,
    opset: int,
    spec: ModelSpec,
    domains: Mapping[str, Domain],
    sizes: samples.Sizes | None,
) -> Exported:
    """Read what was really written, check it, open it in a real session, and describe it."""
    model = graph.load(path)
    stamp = graph.stamp_of(model)
    if stamp.opset != opset or stamp.ir > spec.target.ir:
        raise GraphError(
            f"the file says opset {stamp.opset} and IR {stamp.ir}"
            f" where {opset} and {spec.target.ir} were pinned"
        )
    if stamp.ml_opset > spec.target.ml_opset:
        raise GraphError(
            f"the file says ai.onnx.ml {stamp.ml_opset}, release {spec.target.tag} takes"
            f" {spec.target.ml_opset} at most",
            hint="choose a newer --target, or convert the model for that ai.onnx.ml",
        )
    graph.check(path)
    loaded_by = runtime.loads(path, spec.target)
    if loaded_by is None:
        opsets.check_loads(path, spec.target, spec.accelerator)
    signature = _inferred(graph.signature(model), graph.output_dims(path))
    if signature != graph.signature(model):
        graph.name_output_dims(model, {each.name: each.dims for each in signature.outputs})
        graph.write(model, path)
    return Exported(
        exporter=way,
        stamp=stamp,
        loaded_by=loaded_by,
        signature=signature,
        domains={**domains, **graph.domains(model), **dict(spec.domains)},
        conditions=graph.conditions(model),
        hidden_conditions=graph.hidden_conditions(model),
        sizes=samples.typical(signature.dynamic, dict(spec.ranges)) if sizes is None else sizes,
    )


def _inferred(signature: Signature, known: Mapping[str, tuple[Dim | None, ...]]) -> Signature:
    """Return the signature whose outputs are as narrow as ONNX Runtime knows them to be."""
    outputs = []
    for tensor in signature.outputs:
        pairs = zip(tensor.dims, known.get(tensor.name, ()), strict=False)
        dims = tuple(dim if not isinstance(seen, int) else seen for dim, seen in pairs)
        outputs.append(replace(tensor, dims=dims) if len(dims) == len(tensor.dims) else tensor)
    return replace(signature, outputs=tuple(outputs))


def _hold(signature: Signature, asked: tuple[TensorSpec, ...]) -> None:
    """Hold the file's inputs against those that were asked; raises `ExportError`."""
    written = {tensor.name: tensor for tensor in signature.inputs}
    merged: dict[str, str] = {}
    for tensor in asked:
        if tensor.name not in written:
            raise ExportError(
                f"the exporter dropped the input {tensor.name!r}, which the model does not use",
                hint="leave it out of --input or of the example inputs",
            )
        for wanted, got in zip(tensor.dims, written[tensor.name].dims, strict=True):
            if isinstance(wanted, str) and isinstance(got, int):
                raise ExportError(
                    f"the exporter froze dimension {wanted!r} of input {tensor.name!r} at {got}",
                    hint=f"compute with x.shape instead of fixed sizes, or ask for {got}",
                )
            if isinstance(wanted, str) and merged.setdefault(str(got), wanted) != wanted:
                raise ExportError(
                    f"the exporter made one dimension of {merged[str(got)]!r} and {wanted!r}",
                    hint="the model takes them only where they are equal: give them one name",
                )


def _adopt(source: Path, spec: ModelSpec, path: Path, progress: Progress) -> Exported:
    """Take a foreign file: unchanged where the target loads it so, else converted or re-stamped."""
    progress(f"reading {source}")
    parts = graph.external_files(source)
    model = graph.load(source, weights=True)
    stamp = graph.stamp_of(model)
    options: tuple[opsets.Option, ...] = ()
    if spec.opset is not None:
        wanted = [spec.target.check_opset(spec.opset)]
    else:
        options = opsets.ranked(source, spec, {stamp.opset})
        wanted = [option.opset for option in options]
        wanted = wanted or [min(stamp.opset, spec.target.opset)]
    model, opset = converting.first_of(model, wanted, spec)
    way = "as given" if opset == stamp.opset else f"converted from opset {stamp.opset}"
    if model.ir_version > spec.target.ir:
        model.ir_version = spec.target.ir
        way += f", IR {stamp.ir} stamped {spec.target.ir}"
    if way == "as given" and not parts:
        shutil.copyfile(source, path)
    else:
        graph.write(model, path)
    del model
    try:
        made = _read_back(path, way, opset, spec, {}, None)
    except GraphError as error:  # said of the copy, but the user knows the file by its own name
        hint = error.hint if "--exporter" not in str(error.hint) else _FOREIGN_HINT
        raise GraphError(error.message.replace(path.name, source.name), hint=hint) from error
    chosen = None if spec.opset is not None else opsets.reason(opset, options, spec)
    return replace(made, chosen=chosen)
