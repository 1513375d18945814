"""Build: from a source to a proven version in the model repository."""

import contextlib
import platform
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from tritonforge import (
    __version__,
    exporting,
    gate,
    leftovers,
    manifest,
    opsets,
    proving,
    reference,
    sources,
    wishes,
)
from tritonforge.errors import GateError
from tritonforge.exported import Exported
from tritonforge.manifest import Manifest
from tritonforge.progress import Progress, silent
from tritonforge.proving import Case, Proof
from tritonforge.repository import MODEL, Entry, Repository, Stage
from tritonforge.sources import Loaded
from tritonforge.spec import ModelSpec, Range
from tritonforge.standing import Standing, decide, fresh, kept_batch, write_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build made, or would make: `entry` is None after a dry run.

    `chosen` says why it has this opset, None where that was asked for.
    """

    name: str
    version: int
    entry: Entry | None
    manifest: Manifest
    unbatched: str | None
    chosen: str | None
    notes: tuple[str, ...]


def build(
    spec: ModelSpec,
    repository: Repository,
    *,
    version: int | None = None,
    force: bool = False,
    standing: Standing = "stop",
    dry_run: bool = False,
    progress: Progress = silent,
) -> Built:
    """Export, prove and publish one model; nothing is visible before all of it is proven.

    `standing` says what to do where the model has another config already. Raises `GateError` (the
    numbers differ) and any other `ForgeError`; the repository is then as it was.
    """
    name = sources.model_name(spec)
    if version is not None and not force:
        repository.check_free(name, version)  # before any work is done
    kept = kept_batch(repository, name, version) if standing == "keep" else None
    largest = spec.max_batch_size if kept is None else kept
    progress(f"loading {spec.source}")
    loaded = sources.load(spec)
    spec = wishes.with_samples(spec, loaded)
    with _workplace(repository, name, dry_run=dry_run) as stage:
        path = stage.version_dir / MODEL
        exported = exporting.make(loaded, spec, path, progress)
        wishes.check_ranges(spec, exported.signature)
        placed = opsets.check(path, spec)
        labels = write_labels(stage, loaded.labels, exported.signature)
        with reference.opened(loaded, exported) as (judge, judged):
            case = _case(path, spec, exported, largest)
            exact = None if loaded.module is None else partial(reference.exact, loaded, exported)
            proof = proving.prove(case, judge, progress, exact)
        _judge(proof, path)
        progress("publishing")
        manifest.write_golden(stage.version_dir, *proof.golden)
        manifest.write_recorded(stage.version_dir, exported.domains)
        record = _record(spec, loaded, exported, proof, manifest.hashes(stage.version_dir))
        config = fresh(name, spec, proof.signature, proof.max_batch_size, labels)
        entry, number, record = _place(
            repository,
            stage,
            config,
            record,
            version,
            force=force,
            standing=standing,
            dry_run=dry_run,
        )
    unbatched = proof.unbatched if exported.fixed is None else exported.fixed
    return Built(
        name=name,
        version=number,
        entry=entry,
        manifest=record,
        unbatched=unbatched if proof.max_batch_size == 0 else None,
        chosen=exported.chosen,
        notes=(*exported.notes, *placed, *judged, *proof.notes),
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


def _judge(proof: Proof, path: Path) -> None:
    """Raise `GateError` where the numbers differ."""
    if not proof.report.passed:
        hint = proving.hint(proof.report, path, steady=proof.steady)
        raise GateError(gate.summary(proof.report), hint=hint, report=proof.report)


def _place(
    repository: Repository,
    stage: Stage,
    config: Any,
    record: Manifest,
    version: int | None,
    *,
    force: bool,
    standing: Standing,
    dry_run: bool,
) -> tuple[Entry | None, int, Manifest]:
    """Decide config and number under the lock, write the manifest and publish."""
    name = config.name
    with contextlib.nullcontext() if dry_run else repository.locked():
        number = repository.next_version(name) if version is None else version
        stands = repository.config(name)
        text = decide(stands, config, record.signature, standing=standing, version=number)
        record = replace(record, config=text)
        if dry_run:
            return None, number, record
        manifest.write(record, stage.version_dir)
        entry = repository.publish(
            stage, name, config=text, version=number, force=force, keep=standing == "keep"
        )
    return entry, number, record


def _record(
    spec: ModelSpec,
    loaded: Loaded,
    exported: Exported,
    proof: Proof,
    files: Mapping[str, str],
) -> Manifest:
    """Gather the manifest; its config is decided at the very end."""
    return Manifest(
        source=spec.source,
        weights=spec.weights,
        weights_origin=loaded.weights,
        weights_sha256=loaded.weights_sha256,
        seed=spec.seed,
        sample_seed=spec.sample_seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        target=spec.target.tag,
        exporter=exported.exporter,
        opset=exported.stamp.opset,
        ir=exported.stamp.ir,
        max_batch_size=proof.max_batch_size,
        reference="onnx" if loaded.path is not None else "torch",
        loaded_by=exported.loaded_by,
        config="",
        versions=_versions(loaded, spec),
        signature=proof.signature,
        domains=exported.domains,
        ranges=dict(spec.ranges),
        tolerance=spec.tolerance,
        gate=proof.report,
        files=files,
        input_specs=tuple(str(tensor) for tensor in spec.inputs),
    )


def _versions(loaded: Loaded, spec: ModelSpec) -> dict[str, str]:
    """Return the version of everything that took part."""
    tools = ["numpy", "onnx", "onnxruntime"] + (["onnxscript"] if loaded.module else [])
    return {
        "tritonforge": __version__,
        "python": platform.python_version(),
        **{tool: metadata.version(tool) for tool in tools},
        **loaded.versions,
        **({"target triton": spec.target.triton} if spec.target.triton else {}),
        "target onnxruntime": spec.target.onnxruntime,
    }
