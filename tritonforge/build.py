"""Build: from a source to a proven version in the model repository."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tritonforge import (
    deciding,
    exporting,
    extras,
    finishing,
    gate,
    graph,
    leftovers,
    manifest,
    opsets,
    proving,
    recording,
    reference,
    sources,
    unchanged,
    wishes,
)
from tritonforge.configuring import Configured, check_early, configure, optional
from tritonforge.costing import row_flops
from tritonforge.errors import GateError
from tritonforge.exported import Exported
from tritonforge.manifest import Manifest
from tritonforge.progress import Progress, silent
from tritonforge.proving import Case, Proof
from tritonforge.repository import MODEL, Entry, Repository, Stage
from tritonforge.sources import Loaded
from tritonforge.spec import ModelSpec, Range
from tritonforge.standing import Standing, decide, kept_batch, restore, written


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build made, or would make: `entry` is None after a dry run.

    `chosen` says why it has this opset, `decided` why this accelerator, None where that was asked
    for. `unchanged` says that the
    version stood already, made from the same.
    """

    name: str
    version: int
    entry: Entry | None
    manifest: Manifest
    unbatched: str | None
    chosen: str | None
    notes: tuple[str, ...]
    decided: str | None = None
    unchanged: bool = False


def build(
    spec: ModelSpec,
    repository: Repository,
    *,
    version: int | None = None,
    force: bool = False,
    standing: Standing = "stop",
    dry_run: bool = False,
    rebuild: bool = False,
    progress: Progress = silent,
) -> Built:
    """Export, prove and publish one model; nothing is visible before all of it is proven.

    `standing` says what to do where the model has another config already. Where the newest version
    was made from the same it stands, unless with `rebuild` or for a `version`. Raises `GateError`
    (the numbers differ) and any other `ForgeError`; the repository is then as it was.
    """
    name = sources.model_name(spec)
    if version is not None and not force:
        repository.check_free(name, version)  # before any work is done
    file = spec.config.get("default_model_filename", MODEL)
    kept = kept_batch(repository, name, version, file) if standing == "keep" else None
    largest = spec.max_batch_size if kept is None else kept
    inputs = unchanged.inputs_of(spec, largest, kept=standing == "keep")
    accepted = {inputs, unchanged.inputs_of(spec, largest, kept=False)}
    if not rebuild and version is None:
        progress("looking whether anything changed")
        if (found := unchanged.standing(repository, name, spec, accepted)) is not None:
            return _standing(
                *found, restore(repository, *found, standing=standing, dry_run=dry_run)
            )
    check_early(name, spec)
    progress(f"loading {spec.source}")
    loaded = sources.load(spec)
    with _workplace(repository, name, dry_run=dry_run) as stage:
        made = _make(name, spec, loaded, stage, largest, inputs, progress)
        entry, number, record, kept_notes = _place(
            repository,
            stage,
            made,
            version,
            force=force,
            standing=standing,
            dry_run=dry_run,
        )
    return Built(
        name=name,
        version=number,
        entry=entry,
        manifest=record,
        unbatched=made.unbatched,
        chosen=made.chosen,
        decided=made.decided,
        notes=(*made.notes, *kept_notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What lies proven in a stage: its config, its manifest without it, and what is to be told."""

    config: Configured
    record: Manifest
    unbatched: str | None
    chosen: str | None
    decided: str | None
    notes: tuple[str, ...]


def _make(
    name: str,
    spec: ModelSpec,
    loaded: Loaded,
    stage: Stage,
    largest: int,
    inputs: str,
    progress: Progress,
) -> _Made:
    """Write the model of a spec to a stage, and prove it; `inputs` is the hash of the build."""
    read = unchanged.stamps((*_files(loaded), *unchanged.named_files(spec)))
    path = stage.version_dir / MODEL
    with sources.opened(spec.source) as late:  # a module imports and reads while it is run, too
        exported, spec, proof, told = _proven(path, spec, loaded, largest, progress)
    unseen = loaded.unseen or late.unseen
    flops = row_flops(path, proof.signature, spec)
    config = configure(
        name,
        spec,
        proof,
        loaded.labels,
        exported.domains,
        flops,
        stage,
        graph.spare(graph.load(path), optional(spec)),
    )
    if config.message.default_model_filename:
        path = path.rename(path.with_name(config.message.default_model_filename))
    progress("publishing")
    manifest.write_golden(stage.version_dir, *proof.golden)
    manifest.write_recorded(stage.version_dir, exported.domains)
    record = replace(
        recording.record(spec, loaded, exported, proof),
        files=manifest.stamps(stage.version_dir),
        inputs="" if unseen else inputs,
        read={**unchanged.late(late, stage), **read},
    )
    if unseen:
        told += (f"each build makes it again: {unseen}",)
    unbatched = proof.unbatched if exported.fixed is None else exported.fixed
    return _Made(
        config=config,
        record=record,
        unbatched=unbatched if proof.max_batch_size == 0 else None,
        chosen=exported.chosen,
        decided=None if exported.decision is None else exported.decision.reason,
        notes=(*told, *config.notes),
    )


def _proven(
    path: Path, spec: ModelSpec, loaded: Loaded, largest: int, progress: Progress
) -> tuple[Exported, ModelSpec, Proof, tuple[str, ...]]:
    """Write the model and prove it; return what was made, the spec as it came out, and notes."""
    spec = wishes.with_samples(spec, loaded)
    exported = exporting.make(loaded, spec, path, progress)
    wishes.check_ranges(spec, exported.signature)
    spec = deciding.under(spec, exported.decision)
    finished = finishing.finish(path, exported, spec, progress)
    exported, spec = finished.exported, finished.judged(spec)
    placed = opsets.check(path, spec)
    proof, judged = _prove(loaded, exported, _case(path, spec, exported, largest), progress)
    return exported, spec, proof, (*exported.notes, *placed, *judged, *proof.notes)


def _files(loaded: Loaded) -> tuple[Path, ...]:
    """Return the files that say what a source is."""
    if loaded.path is None:
        return loaded.read
    parts = graph.external_files(loaded.path)
    return (loaded.path, *(loaded.path.parent / part for part in parts))


def _standing(entry: Entry, record: Manifest, notes: tuple[str, ...]) -> Built:
    """Tell of a version that stands already."""
    return Built(
        name=entry.model,
        version=entry.version,
        entry=entry,
        manifest=record,
        unbatched=None,
        chosen=None,
        notes=notes,
        unchanged=True,
    )


@contextlib.contextmanager
def _workplace(repository: Repository, name: str, *, dry_run: bool) -> Iterator[Stage]:
    """Open a stage in the repository, or elsewhere for a dry run, which must not touch it."""
    if not dry_run:
        with repository.staging(name) as stage:
            yield stage
        return
    with tempfile.TemporaryDirectory(prefix=leftovers.mark()) as folder:
        stage = Stage(path=Path(folder))
        stage.version_dir.mkdir()
        yield stage


def _case(path: Path, spec: ModelSpec, exported: Exported, largest: int) -> Case:
    """Say what is to be proven."""
    return Case(
        path=path,
        signature=exported.signature,
        conditions=exported.conditions,
        hidden_conditions=exported.hidden_conditions,
        domains=exported.domains,
        ranges={"batch": Range(high=max(spec.max_batch_size, 1)), **dict(spec.ranges)},
        tolerance=spec.tolerance,
        max_batch_size=largest,
        sample_seed=spec.sample_seed,
        export_sizes=exported.sizes,
    )


def _prove(
    loaded: Loaded, exported: Exported, case: Case, progress: Progress
) -> tuple[Proof, tuple[str, ...]]:
    """Prove the file, and return notes on what it was held against; `GateError` if it differs."""
    with reference.opened(loaded, exported) as (judge, judged):
        exact = None if loaded.module is None else partial(reference.exact, loaded, exported)
        proof = proving.prove(case, judge, progress, exact)
    if not proof.report.passed:
        hint = proving.hint(proof.report, case.path, steady=proof.steady)
        raise GateError(gate.summary(proof.report), hint=hint, report=proof.report)
    return proof, judged


def _place(
    repository: Repository,
    stage: Stage,
    made: _Made,
    version: int | None,
    *,
    force: bool,
    standing: Standing,
    dry_run: bool,
) -> tuple[Entry | None, int, Manifest, tuple[str, ...]]:
    """Decide config and number under the lock, write the manifest and publish; return notes too."""
    name = made.config.message.name
    with contextlib.nullcontext() if dry_run else repository.locked():
        number = repository.next_version(name) if version is None else version
        stands = repository.config(name)
        text = decide(
            stands,
            made.config.message,
            made.config.text,
            made.record.signature,
            standing=standing,
            version=number,
            written=written(repository, name),
        )
        keep = standing == "keep" and stands is not None
        brought, notes = extras.bring(repository, name, stage, text, keep=keep)
        record = replace(made.record, config=text, beside=brought)
        if dry_run:
            return None, number, record, notes
        manifest.write(record, stage.version_dir)
        entry = repository.publish(
            stage,
            name,
            config=text,
            version=number,
            force=force,
            obsolete=extras.obsolete(repository, name, stage, text),
        )
    return entry, number, record, notes
