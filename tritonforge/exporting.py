"""From a loaded source to an `.onnx` file that fits the target, by whichever way gets there.

Between adapters and use cases: it composes `export` (torch) and `graph` (onnx).
"""

import shutil
import tempfile
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge import converting, deciding, graph, opsets, samples
from tritonforge.errors import ExportError, GraphError
from tritonforge.exported import Exported, drop_unused, hold, read_back
from tritonforge.progress import Progress
from tritonforge.release import LOWEST_OPSET
from tritonforge.sources import Loaded
from tritonforge.spec import ModelSpec
from tritonforge.tensors import Signature

if TYPE_CHECKING:
    from torch import nn

    from tritonforge.export import Method, Prepared

# A dimension of size 1 broadcasts, so an exporter may bake it in; two is the smallest honest batch.
EXPORT_BATCH = 2
_UNUSED = "input '{}' is left out: the model does not use it"
_FOREIGN_HINT = "export the file again, or mend what is named"


def make(loaded: Loaded, spec: ModelSpec, path: Path, progress: Progress) -> Exported:
    """Write the source to `path` at the opset and IR that the target takes, verified.

    Raises `ExportError` or `GraphError` where no way leads there.
    """
    if loaded.path is not None:
        return _adopt(loaded.path, spec, path, progress)
    if loaded.module is None:
        raise ExportError("the source holds neither a module nor a file")
    given, fixed, notes = loaded, None, tuple[str, ...]()
    while True:
        try:
            made = _export(loaded.module, given, spec, path, progress)
            return replace(made, fixed=fixed, notes=(*notes, *made.notes))
        except ExportError as error:
            lost = _lost(error, given, spec)
            if lost is None:
                raise
        dim, why = lost
        given, size = _fix(dim, given, spec)
        if dim == "batch":
            fixed = why
        else:
            notes += (f"{dim} is always {size}, to which requests are padded: {why}",)


def _lost(error: ExportError, loaded: Loaded, spec: ModelSpec) -> tuple[str, str] | None:
    """Name the dimension that cannot be dynamic, and say why; None where it was asked for."""
    from tritonforge import export

    if loaded.asked:
        return None
    if isinstance(error, export.CallError):
        why = f"it fails on a batch of {EXPORT_BATCH}: {error.said}"
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
    largest = dict(spec.ranges).get(dim)
    size = sizes.get(dim) or (largest.high if largest is not None else None) or 1
    inputs = tuple(
        replace(each, dims=tuple(size if name == dim else name for name in each.dims))
        for each in loaded.inputs
    )
    return replace(loaded, inputs=inputs), size


def _export(
    module: "nn.Module", loaded: Loaded, spec: ModelSpec, path: Path, progress: Progress
) -> Exported:
    """Try the exporters in order until one file carries the pinned opset."""
    from tritonforge import export

    domains = {**loaded.domains, **dict(spec.domains)}
    sizes = _sizes(Signature(inputs=loaded.inputs, outputs=()).dynamic, spec)
    sample = samples.draw(loaded.inputs, domains, sizes, spec.sample_seed)
    names = [each.name for each in loaded.inputs]
    flat = export.flattened(module, names, sample)
    wished = {each.name for each in spec.inputs} & export.optional(module, names)
    ways = _ways(loaded, spec, scripted=export.is_scripted(module))

    asked, spec = spec, deciding.provisional(spec)

    def write(opset: int) -> Exported:
        troubles: list[ExportError | GraphError] = []
        stopped = False
        for method, prepared in ways:
            if stopped and method == "torchscript":
                break
            progress(f"exporting with {method}")
            try:
                with tempfile.TemporaryDirectory(dir=path.parent) as aside:
                    raw = Path(aside, path.name)  # the exporter may write files of its own beside
                    notes = export.export(
                        flat.module,
                        loaded.inputs,
                        flat.outputs,
                        sample,
                        raw,
                        method=method,
                        opset=opset,
                        prepared=prepared,
                    )
                    way = _fit(raw, path, method, opset, spec)
                kept = drop_unused(path, loaded.inputs, wished)
                described = read_back(path, way, opset, spec, loaded.domains, sizes)
                hold(described.signature, kept)
                unused = [each.name for each in loaded.inputs if each not in kept]
                notes = (*flat.notes, *map(_UNUSED.format, unused), *notes)
                return replace(described, notes=notes)
            except (ExportError, GraphError) as error:
                troubles.append(error)
                found = getattr(error, "failure", None)
                # Tracing would follow one branch and freeze one size in silence: no try of that.
                stopped |= found is not None and found.kind in {"control-flow", "frozen"}
        raise troubles[0]

    if spec.opset is not None:
        made = write(spec.target.check_opset(spec.opset))
        return replace(made, decision=deciding.decided(path, asked))
    native = export.NATIVE[ways[0][0]]
    first = write(min(native[-1], spec.target.opset))
    decision = deciding.decided(path, asked)
    spec = deciding.under(spec, decision)
    improved = _improved(first, path, spec, export.NATIVE[_method(first)], write)
    return replace(improved, decision=decision)


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
            kept = Path(aside, path.name)
            graph.move(path, kept)
            try:
                made = write(option.opset)
            except (ExportError, GraphError):  # no way leads there: the next best
                graph.move(kept, path)
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


def _ways(
    loaded: Loaded, spec: ModelSpec, *, scripted: bool
) -> "tuple[tuple[Method, Prepared], ...]":
    """Name the exporters to try, in order, and what is done to the module for each."""
    from tritonforge import export

    plain = export.plainly
    dynamo: tuple[tuple[Method, Prepared], ...] = (("dynamo", plain),)
    if loaded.prepared is not None:
        dynamo += (("dynamo", loaded.prepared),)
    traced: tuple[tuple[Method, Prepared], ...] = (("torchscript", plain),)
    if spec.exporter != "auto":
        return dynamo if spec.exporter == "dynamo" else traced
    return traced if scripted or loaded.traced else dynamo + traced


def _fit(raw: Path, path: Path, way: str, opset: int, spec: ModelSpec) -> str:
    """Bring an exporter's file to the pinned opset and the target's IR at `path`, and say how."""
    model = graph.load(raw)
    written = graph.stamp_of(model)
    if written.opset != opset:
        model = converting.converted(model, opset, spec)
        way = f"{way}, converted from opset {written.opset}"
    same = graph.stamp_of(model) == written and model.ir_version == spec.target.ir
    if same and not spec.external_data and not graph.external_files(raw):
        graph.move(raw, path)
        return way
    model.ir_version = spec.target.ir
    graph.write(model, path, beside=spec.external_data, base=raw.parent)
    return way


def _adopt(source: Path, spec: ModelSpec, path: Path, progress: Progress) -> Exported:
    """Take a foreign file: unchanged where the target loads it so, else converted or re-stamped."""
    progress(f"reading {source}")
    parts = graph.external_files(source)
    decision = deciding.decided(source, spec)
    spec = deciding.under(spec, decision)
    model = graph.load(source)
    graph.take_in(source, model)
    stamp = graph.stamp_of(model)
    options: tuple[opsets.Option, ...] = ()
    if spec.opset is not None:
        wanted = [spec.target.check_opset(spec.opset)]
    else:
        options = opsets.ranked(source, spec, {stamp.opset})
        wanted = [option.opset for option in options]
        if options:  # where no way leads to those, there is one that is lost to the provider
            every = range(spec.target.opset, LOWEST_OPSET - 1, -1)
            wanted += [each for each in every if each not in wanted]
        else:
            wanted = [min(stamp.opset, spec.target.opset)]
    ordered = graph.sort(model.graph)
    model, opset = converting.first_of(model, wanted, spec)
    way = "as given" if opset == stamp.opset else f"converted from opset {stamp.opset}"
    if ordered:
        way += ", nodes put in order"
    if model.ir_version > spec.target.ir:
        model.ir_version = spec.target.ir
        way += f", IR {stamp.ir} stamped {spec.target.ir}"
    if way == "as given" and not parts and not spec.external_data:
        shutil.copyfile(source, path)
    else:
        graph.write(model, path, beside=spec.external_data, base=source.parent)
    del model
    try:
        made = read_back(path, way, opset, spec, {}, None)
    except GraphError as error:  # said of the copy, but the user knows the file by its own name
        hint = error.hint if "--exporter" not in str(error.hint) else _FOREIGN_HINT
        raise GraphError(error.message.replace(path.name, source.name), hint=hint) from error
    chosen = opsets.reason(opset, options, spec) if options else None
    return replace(made, chosen=chosen, decision=decision)
