"""Attempts at a module by one exporter after the other, until a file is what was pinned."""

import tempfile
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge import converting, deciding, graph, opsets, samples
from tritonforge.errors import ExportError, GraphError
from tritonforge.exported import Exported, drop_unused, hold, read_back
from tritonforge.graph import lean
from tritonforge.progress import Progress
from tritonforge.sources import Loaded
from tritonforge.spec import ModelSpec
from tritonforge.tensors import Arrays, Signature

if TYPE_CHECKING:
    from tritonforge.export import Flattened, Method, Prepared

# A dimension of size 1 broadcasts, so an exporter may bake it in; two is the smallest honest batch.
EXPORT_BATCH = 2
_UNUSED = "input '{}' is left out: the model does not use it"


def exported(loaded: Loaded, spec: ModelSpec, path: Path, progress: Progress) -> Exported:
    """Write a module at the opset that is pinned, else at the one where it keeps its provider.

    Raises `ExportError` or `GraphError` where no exporter can.
    """
    from tritonforge import export

    attempts = _attempts(loaded, spec, path, progress)
    first = deciding.provisional(spec)
    if spec.opset is not None:
        made = attempts.write(spec.target.check_opset(spec.opset), first)
        return replace(made, decision=deciding.decided(path, spec))
    native = export.NATIVE[attempts.ways[0][0]]
    made = attempts.write(min(native[-1], spec.target.opset), first)
    decision = deciding.decided(path, spec)
    wish = deciding.under(first, decision)
    return replace(_improved(made, path, wish, attempts), decision=decision)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempts:
    """What every attempt begins with: the module as it is exported, a sample, the ways to try.

    `wished` names the inputs that were asked for though the module can do without.
    """

    loaded: Loaded
    path: Path
    progress: Progress
    flat: "Flattened"
    sizes: samples.Sizes
    sample: Arrays
    wished: Container[str]
    ways: "tuple[tuple[Method, Prepared], ...]"

    def write(self, opset: int, spec: ModelSpec) -> Exported:
        """Try one way after the other until a file carries the opset.

        Raises what the first one raised where none does.
        """
        troubles: list[ExportError | GraphError] = []
        stopped = False
        for method, prepared in self.ways:
            if stopped and method == "torchscript":
                break
            self.progress(f"exporting with {method}")
            try:
                return self._by(method, prepared, opset, spec)
            except (ExportError, GraphError) as error:
                troubles.append(error)
                found = getattr(error, "failure", None)
                # Tracing would follow one branch and freeze one size in silence: no try of that.
                stopped |= found is not None and found.kind in {"control-flow", "frozen"}
        raise troubles[0]

    def _by(self, method: "Method", prepared: "Prepared", opset: int, spec: ModelSpec) -> Exported:
        """Write the file by one exporter, and read it back."""
        from tritonforge import export

        loaded, path = self.loaded, self.path
        with tempfile.TemporaryDirectory(dir=path.parent) as aside:
            raw = Path(aside, path.name)  # the exporter may write files of its own beside
            told = export.export(
                self.flat.module,
                loaded.inputs,
                self.flat.outputs,
                self.sample,
                raw,
                method=method,
                opset=opset,
                prepared=prepared,
            )
            rewritten = prepared is not export.plainly
            by = f"{method} with its library's rewrites" if rewritten else method
            way = _fit(raw, path, by, opset, spec)
        kept = drop_unused(path, loaded.inputs, self.wished)
        described = read_back(path, way, opset, spec, loaded.domains, self.sizes)
        hold(described.signature, kept)
        unused = [_UNUSED.format(each.name) for each in loaded.inputs if each not in kept]
        notes = (*self.flat.notes, *unused, *told)
        return replace(described, rewritten=rewritten, notes=notes)


def _attempts(loaded: Loaded, spec: ModelSpec, path: Path, progress: Progress) -> _Attempts:
    """Run the module once on a sample, and say how it is to be exported."""
    from tritonforge import export

    assert loaded.module is not None  # noqa: S101 - a source is a module or a file
    domains = {**loaded.domains, **dict(spec.domains)}
    scripted = export.is_scripted(loaded.module)
    traced = {each.shape[0] for each in loaded.examples.values() if scripted and each.ndim}
    # What is traced may take the batch of its example alone, which another one tells.
    batch = EXPORT_BATCH + (EXPORT_BATCH in traced)
    sizes = _sizes(Signature(inputs=loaded.inputs, outputs=()).dynamic, spec, batch)
    sample = samples.draw(loaded.inputs, domains, sizes, spec.sample_seed)
    names = [each.name for each in loaded.inputs]
    return _Attempts(
        loaded=loaded,
        path=path,
        progress=progress,
        flat=export.flattened(loaded.module, names, sample),
        sizes=sizes,
        sample=sample,
        wished={each.name for each in spec.inputs} & export.optional(loaded.module, names),
        ways=_ways(loaded, spec, scripted=scripted),
    )


def _improved(
    first: Exported,
    path: Path,
    spec: ModelSpec,
    attempts: _Attempts,
) -> Exported:
    """Write the model at the opset where it keeps its provider, if that is another one."""
    from tritonforge import export

    native = export.NATIVE[_method(first)]
    options = opsets.ranked(path, spec, native, written=first.stamp.opset)
    for option in options:
        if option.opset == first.stamp.opset:
            break
        with tempfile.TemporaryDirectory(dir=path.parent) as aside:
            kept = Path(aside, path.name)
            graph.move(path, kept)
            try:
                made = attempts.write(option.opset, spec)
            except (ExportError, GraphError):  # no way leads there: the next best
                graph.move(kept, path)
                continue
        return replace(made, chosen=opsets.reason(option.opset, options, spec))
    return replace(first, chosen=opsets.reason(first.stamp.opset, options, spec))


def _method(exported: Exported) -> "Method":
    """Return the exporter that a file was written with."""
    return "torchscript" if exported.exporter.startswith("torchscript") else "dynamo"


def _sizes(dynamic: tuple[str, ...], spec: ModelSpec, batch: int) -> dict[str, int]:
    """Choose the sizes to export with: none is 1, and no two are the same.

    An exporter takes two dimensions of one size for one dimension, and 1 for a constant.
    """
    ranges = dict(spec.ranges)
    chosen: dict[str, int] = {}
    for name, size in samples.typical(dynamic, ranges).items():
        size = batch if name == "batch" else max(size, 2)  # noqa: PLW2901 - the same size
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
    if loaded.prepared is not None and loaded.rewritten:
        return (("dynamo", loaded.prepared),)
    if loaded.prepared is not None:
        dynamo += (("dynamo", loaded.prepared),)
    traced: tuple[tuple[Method, Prepared], ...] = (("torchscript", plain),)
    if spec.exporter != "auto":
        return dynamo if spec.exporter == "dynamo" else traced
    return traced if scripted or loaded.traced else dynamo + traced


def _fit(raw: Path, path: Path, way: str, opset: int, spec: ModelSpec) -> str:
    """Bring an exporter's file to the pinned opset and the target's IR at `path`, and say how."""
    written = graph.stamp_of(lean.read(raw))
    fits = written.opset == opset and written.ir == spec.target.ir
    if fits and not spec.external_data and not graph.external_files(raw):
        graph.move(raw, path)
        return way
    model = graph.load(raw)
    if written.opset != opset:
        model = converting.converted(model, opset, spec)
        way = f"{way}, converted from opset {written.opset}"
    model.ir_version = spec.target.ir
    graph.write(model, path, beside=spec.external_data, base=raw.parent)
    return way
