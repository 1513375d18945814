"""From a loaded source to a model that lies proven in a stage, with its config and its manifest.

Between adapters and use cases: nothing of it can be seen in the repository yet.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from tritonforge import (
    deciding,
    exporting,
    finishing,
    gate,
    graph,
    manifest,
    opsets,
    proving,
    recording,
    reference,
    sources,
    unchanged,
    wishes,
)
from tritonforge.configuring import Configured, configure, optional
from tritonforge.costing import row_flops
from tritonforge.errors import ForgeError, GateError
from tritonforge.exported import Exported
from tritonforge.graph import lean
from tritonforge.manifest import Manifest
from tritonforge.progress import Progress
from tritonforge.proving import Case, Proof
from tritonforge.repository import MODEL, Stage
from tritonforge.sources import Loaded
from tritonforge.spec import ModelSpec, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What lies proven in a stage: its config, its manifest without it, and what is to be told."""

    config: Configured
    record: Manifest
    unbatched: str | None
    chosen: str | None
    decided: str | None
    notes: tuple[str, ...]


def make(
    name: str,
    spec: ModelSpec,
    loaded: Loaded,
    stage: Stage,
    largest: int,
    inputs: str,
    progress: Progress,
) -> Made:
    """Write the model of a spec to a stage, and prove it; `inputs` is the hash of the build."""
    read = unchanged.stamps((*_files(loaded), *unchanged.named_files(spec)))
    path = stage.version_dir / MODEL
    with sources.opened(spec.source) as late:  # a module imports and reads while it is run, too
        exported, spec, proof, told = _proven(path, spec, loaded, largest, progress)
    unseen = loaded.unseen or late.unseen
    flops, wanted = row_flops(path, proof.signature, spec), optional(spec)
    config = configure(
        name,
        spec,
        proof,
        loaded.labels,
        exported.domains,
        flops,
        stage,
        graph.spare(lean.read(path), wanted) if wanted else (),
    )
    if config.message.default_model_filename:
        graph.move(path, path.with_name(config.message.default_model_filename))
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
    served = config.message.max_batch_size  # more than was proven where it batches ragged
    return Made(
        config=config,
        record=record,
        unbatched=unbatched if served == 0 else None,
        chosen=exported.chosen,
        decided=None if exported.decision is None else exported.decision.reason,
        notes=(*told, *config.notes),
    )


_Proven = tuple[Exported, ModelSpec, Proof, tuple[str, ...]]


def _proven(
    path: Path, said: ModelSpec, loaded: Loaded, largest: int, progress: Progress
) -> _Proven:
    """Write the model and prove it; return what was made, the spec as it came out, and notes."""
    spec = wishes.with_sizes(wishes.with_samples(said, loaded), loaded)
    drawn = replace(loaded, domains={**loaded.domains, **dict(spec.domains)})
    exported = exporting.make(drawn, spec, path, progress)
    spec = wishes.still(spec, said, exported.signature)
    wishes.check_ranges(spec, exported.signature)
    spec = deciding.under(spec, exported.decision)
    finished = finishing.finish(path, exported, spec, progress)
    exported, spec = finished.exported, finished.judged(spec)
    placed = opsets.check(path, spec)
    try:
        proof, judged = _prove(drawn, exported, _case(path, spec, exported, largest), progress)
    except GateError as error:
        # In a file whose weights lie beside it the original has left, or was made double.
        is_last = exported.rewritten or spec.exporter == "torchscript" or graph.has_data(path)
        if loaded.prepared is None or is_last:
            raise
        return _rewritten(error, path, said, loaded, largest, progress)
    return exported, spec, proof, (*loaded.notes, *exported.notes, *placed, *judged, *proof.notes)


def _rewritten(
    error: GateError,
    path: Path,
    said: ModelSpec,
    loaded: Loaded,
    largest: int,
    progress: Progress,
) -> _Proven:
    """Make the file anew with the rewrites of the model's library; raise `error` if in vain.

    A row of attention all of whose keys are masked has no value of its own: what torch computes
    there its plain export does not.
    """
    progress("the numbers differ: trying the rewrites of the model's library")
    try:
        again = replace(loaded, rewritten=True)
        exported, spec, proof, notes = _proven(path, said, again, largest, progress)
    except ForgeError:
        raise error from None
    told = f"exported with its library's rewrites, since without them {error.message}"
    return exported, spec, proof, (*notes, told)


def _files(loaded: Loaded) -> tuple[Path, ...]:
    """Return the files that say what a source is."""
    if loaded.path is None:
        return loaded.read
    parts = graph.external_files(loaded.path)
    return (loaded.path, *(loaded.path.parent / part for part in parts))


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
    """Prove the file, and return notes on what it was held against; `GateError` if it differs.

    What has its weights beside it may be large: the original leaves before the file is opened.
    """
    aside = case.path.parent if graph.has_data(case.path) else None
    with reference.opened(loaded, exported, aside) as judge:
        proof = proving.prove(case, judge.run, progress, judge.exact, judge.leave)
    if not proof.report.passed:
        hint = proving.hint(proof.report, case.path, steady=proof.steady)
        raise GateError(gate.summary(proof.report), hint=hint, report=proof.report)
    return proof, judge.notes
