"""Build: from a source to a proven version in the model repository."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tritonforge import extras, leftovers, making, manifest, pbtxt, release, sources, unchanged
from tritonforge.configuring import check_early
from tritonforge.judging import judge
from tritonforge.making import Made
from tritonforge.manifest import Manifest
from tritonforge.progress import Progress, silent
from tritonforge.repository import MODEL, Entry, Repository, Stage
from tritonforge.spec import ModelSpec
from tritonforge.standing import Standing, decide, kept_batch, restore, written


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build made, or would make: `entry` is None after a dry run.

    `max_batch_size` is the config's, `unbatched` says why that is 0, None where it is not.
    `chosen` says why it has this opset, `decided` why this accelerator, None where that was asked
    for. `unchanged` says that the version stood already, made from the same.
    """

    name: str
    version: int
    entry: Entry | None
    manifest: Manifest
    max_batch_size: int
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
    if not rebuild and version is None:
        progress("looking whether anything changed")
        accepted = {inputs, unchanged.inputs_of(spec, largest, kept=False)}
        if (found := unchanged.standing(repository, name, spec, accepted)) is not None:
            notes = restore(repository, *found, standing=standing, dry_run=dry_run)
            return _standing(*found, notes)
    check_early(name, spec)
    progress(f"loading {spec.source}")
    loaded = sources.load(spec)
    with _workplace(repository, name, dry_run=dry_run) as stage:
        made = making.make(name, spec, loaded, stage, largest, inputs, progress)
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
        max_batch_size=made.config.message.max_batch_size,
        unbatched=made.unbatched,
        chosen=made.chosen,
        decided=made.decided,
        notes=(*made.notes, *kept_notes, *_unserved(repository, name, number, made)),
    )


def _unserved(repository: Repository, name: str, number: int, made: Made) -> Iterator[str]:
    """Say so where the config has servers leave the new version out."""
    known = {*repository.versions(name), number}
    if number not in pbtxt.served(made.config.message, sorted(known)):
        yield f"no server loads version {number}: version_policy leaves it out"


def _standing(entry: Entry, record: Manifest, notes: tuple[str, ...]) -> Built:
    """Tell of a version that stands already."""
    return Built(
        name=entry.model,
        version=entry.version,
        entry=entry,
        manifest=record,
        max_batch_size=record.max_batch_size,
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


def _place(
    repository: Repository,
    stage: Stage,
    made: Made,
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
        manifest.write(record, stage.version_dir)
        obsolete = extras.obsolete(repository, name, stage, text)
        found = judge(
            repository,
            name,
            stage,
            config=text,
            version=number,
            target=release.find(record.target),
            told=text == made.config.text,
            obsolete=obsolete,
        )
        if dry_run:
            return None, number, record, (*notes, *found)
        entry = repository.publish(
            stage, name, config=text, version=number, force=force, obsolete=obsolete
        )
    return entry, number, record, (*notes, *found)
