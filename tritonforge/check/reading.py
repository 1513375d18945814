"""A repository as a server would find it, read without loading a model."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tritonforge import manifest, pbtxt
from tritonforge.check import beside
from tritonforge.check.files import files_of, relative
from tritonforge.check.known import Known
from tritonforge.check.listing import Listing, listing
from tritonforge.errors import ForgeError, RepositoryError
from tritonforge.manifest import Manifest
from tritonforge.pbtxt import strict
from tritonforge.release import EMBEDDED, Release, find
from tritonforge.repository import CONFIG, Repository, reading
from tritonforge.rules import Config, File, Model, Unread, backends

MOST_BYTES = 1 << 20  # of a config: the longest ensembles have a tenth of it
_MOST_MODELS = 1_000_000
_STRAY = re.compile("[\udc80-\udcff]")  # how Python writes a byte that is not UTF-8


def models(repository: Repository) -> tuple[str, ...]:
    """Name what the server takes for models: each folder, hidden or not, and each lost link.

    Raises `RepositoryError` for a repository that may not be read.
    """
    try:
        every = reading.names(repository.path, _MOST_MODELS)
        lost = reading.broken(repository.path)
    except OSError as error:
        raise RepositoryError(
            f"cannot read {repository.path}: {error.strerror}",
            hint="run it as somebody who may read the repository",
        ) from error
    folders = [each for each in every if each.endswith("/")]
    return tuple(sorted({*lost, *(each.removesuffix("/") for each in folders)}))


def model(repository: Repository, name: str, target: Release | None, known: Known) -> Model:
    """Read one model; without a target for the release that it was built for, else the default."""
    folder = repository.path / name
    found = listing(folder)
    entries, inside = found.entries, found.inside
    if "" in found.closed:
        return replace(unread(repository, name, target), closed=found.closed)
    manifests, damaged = _manifests(folder, found)
    release = target or _built_for(manifests)
    raw, kept = _raw(folder / CONFIG)
    said = None if raw is None else strict.read(raw, release.triton)
    content = inside[min(inside)] if inside else ()
    config = None
    if said is not None and said.is_known:
        config = Config(message=said.message, release=release, content=content)
    versions = _served(config, entries)
    message = pbtxt.ModelConfig() if config is None else config.message
    backend = backends.serving(message, name, content, release)
    files: Mapping[int, File] = {}
    if config is not None or (raw is None and kept is None):
        files = files_of(folder, message, backend, versions, release, known)
    return Model(
        name=name,
        path=folder,
        release=release,
        entries=entries,
        text=_text(raw or b"") if raw is not None or kept else None,
        unread=kept,
        config=config,
        flaws=() if said is None else said.flaws,
        files=files,
        manifests=manifests,
        inside=inside,
        broken=found.broken,
        closed=found.closed,
        cut=found.cut,
        versions=versions,
        backend=backend,
        damaged=damaged,
        altered={
            number: beside.altered(folder / reading.folder_of(number), known)
            for number, known in manifests.items()
            if number in versions
        },
        labels=beside.labels(folder, message),
        is_lost=not folder.exists(),
    )


def unread(repository: Repository, name: str, target: Release | None) -> Model:
    """Return a model of which nothing is known but its name, so that nothing of it is judged."""
    return Model(
        name=name,
        path=repository.path / name,
        release=target or find(EMBEDDED),
        entries=(),
        text="",
        config=None,
        files={},
        manifests={},
    )


def _raw(path: Path) -> tuple[bytes | None, Unread | None]:
    """Return the bytes of a config, None where there is none; and why it is not read."""
    try:
        if not path.is_file():
            special = path.exists() and not path.is_dir()
            return None, Unread(said="it is no regular file", loads=False) if special else None
        with path.open("rb") as file:
            held = file.read(MOST_BYTES + 1)
    except OSError as error:
        return None, Unread(said=f"it cannot be read: {error.strerror}", loads=False)
    if len(held) > MOST_BYTES:
        return None, Unread(said=f"it has more than {MOST_BYTES >> 20} MiB", loads=True)
    return held, None


def _text(raw: bytes) -> str:
    """Return bytes as text, its line ends as they are, with a sign for each that is not UTF-8."""
    return _STRAY.sub("\ufffd", raw.decode("utf-8", "surrogateescape"))


def _manifests(folder: Path, found: Listing) -> tuple[dict[int, Manifest], dict[int, str]]:
    """Read what tritonforge wrote beside the versions that it built; and why it cannot be read."""
    manifests, damaged = {}, {}
    for each in found.entries:
        number = reading.version_of(each)
        if number is None or each != f"{reading.folder_of(number)}/":
            continue
        try:
            known = manifest.read(folder / each, recorded=False)
        except ForgeError as error:
            path = folder / each / manifest.MANIFEST
            damaged[number] = relative(str(error), path)
            continue
        except OSError as error:
            if manifest.MANIFEST in found.inside[each]:
                damaged[number] = f"it cannot be read: {error.strerror}"
            continue
        if known is not None:
            manifests[number] = known
    return manifests, damaged


def _built_for(manifests: Mapping[int, Manifest]) -> Release:
    """Return the release that the newest version was built for, else the default."""
    for number in sorted(manifests, reverse=True):
        with suppress(ForgeError):
            return find(manifests[number].target)
    return find(EMBEDDED)


def _served(config: Config | None, entries: tuple[str, ...]) -> tuple[int, ...]:
    """Return the versions that the server loads, ascending, by its reading of the folders."""
    read = (reading.version_of(each.rstrip("/")) for each in entries if each.endswith("/"))
    numbers = sorted({each for each in read if each is not None and each <= reading.MOST_VERSION})
    message = pbtxt.ModelConfig() if config is None else config.message
    return pbtxt.served(message, numbers)
