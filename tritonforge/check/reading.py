"""A repository as a server would find it, read without loading a model."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tritonforge import graph, manifest, pbtxt, placement
from tritonforge.check import beside
from tritonforge.check.landing import asked, landing
from tritonforge.errors import ForgeError, GraphError, RepositoryError
from tritonforge.graph import lean
from tritonforge.graph.external import externals
from tritonforge.manifest import Manifest
from tritonforge.pbtxt import strict
from tritonforge.release import EMBEDDED, Release, find
from tritonforge.repository import CONFIG, MODEL, Repository, reading
from tritonforge.rules import Config, File, Model, backends

_STRAY = re.compile("[\udc80-\udcff]")  # how Python writes a byte that is not UTF-8
_INNER = ("Loop", "Scan")


def models(repository: Repository) -> tuple[str, ...]:
    """Name what the server takes for models: each folder, hidden or not, and each lost link."""
    folders = [each for each in reading.names(repository.path) if each.endswith("/")]
    lost = reading.broken(repository.path)
    return tuple(sorted({*lost, *(each.removesuffix("/") for each in folders)}))


def model(repository: Repository, name: str, target: Release | None) -> Model:
    """Read one model; without a target for the release that it was built for, else the default."""
    folder = repository.path / name
    entries = reading.names(folder)
    manifests, damaged = _manifests(folder, entries)
    release = target or _built_for(manifests)
    raw = _raw(folder / CONFIG)
    said = None if raw is None else strict.read(raw, release.triton)
    inside = {each: reading.names(folder / each) for each in entries if each.endswith("/")}
    content = inside[min(inside)] if inside else ()
    config = None
    if said is not None and said.is_known:
        config = Config(message=said.message, release=release, content=content)
    versions = _served(config, entries)
    message = pbtxt.ModelConfig() if config is None else config.message
    backend = backends.serving(message, name, content)
    unread = config is None and raw is not None
    return Model(
        name=name,
        path=folder,
        release=release,
        entries=entries,
        text=None if raw is None else _text(raw),
        config=config,
        flaws=() if said is None else said.flaws,
        files={} if unread else _files(folder, message, backend, versions, release),
        manifests=manifests,
        inside=inside,
        broken=reading.broken(folder),
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


def _raw(path: Path) -> bytes | None:
    """Return the bytes of a config, None where there is none."""
    return path.read_bytes() if path.is_file() else None


def _text(raw: bytes) -> str:
    """Return bytes as text, its line ends as they are, with a sign for each that is not UTF-8."""
    return _STRAY.sub("\ufffd", raw.decode("utf-8", "surrogateescape"))


def _manifests(
    folder: Path, entries: tuple[str, ...]
) -> tuple[dict[int, Manifest], dict[int, str]]:
    """Read what tritonforge wrote beside the versions that it built; and why it cannot be read."""
    found, damaged = {}, {}
    for each in entries:
        number = reading.version_of(each)
        if number is None or each != f"{reading.folder_of(number)}/":
            continue
        try:
            known = manifest.read(folder / each)
        except (RepositoryError, OSError) as error:
            path = folder / each / manifest.MANIFEST
            damaged[number] = _relative(str(error), path)
            continue
        if known is not None:
            found[number] = known
    return found, damaged


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


def _files(
    folder: Path, message: Any, backend: str | None, versions: tuple[int, ...], release: Release
) -> dict[int, File]:
    """Read the files of the versions that the server loads."""
    name = message.default_model_filename or backends.file_of(backend)
    if not name or backend == backends.ENSEMBLE:  # others may call their file as they like
        return {}
    found = {}
    for number in versions:
        path = f"{reading.folder_of(number)}/{name.lstrip('/')}".rstrip("/")
        if backend == backends.ONNX and _is(folder / path, Path.is_dir):
            path = f"{path}/{MODEL}"
        if not _is(folder / path, Path.exists):
            found[number] = File(path=path, missing=True, fault="it is not there")
        elif backend == backends.ONNX:
            found[number] = _file(folder, path, release, message)
        else:
            found[number] = File(path=path)
    return found


def _is(path: Path, what: Callable[[Path], bool]) -> bool:
    """Ask of a path what a config may name, also one that no file can have."""
    try:
        return what(path)
    except OSError:  # it is too long
        return False


def _file(folder: Path, path: str, release: Release, message: Any) -> File:
    """Read a file by its graph alone."""
    try:
        found = lean.read(folder / path)
    except GraphError as error:
        return File(path=path, fault=_relative(error.message, folder / path), hint=error.hint)
    try:
        return _judged(folder, path, found, release, message)
    except (TypeError, ValueError, AttributeError):  # to what bytes in place of a text may lead
        if graph.is_legible(found):
            raise
        return File(path=path, fault="a text in it is not UTF-8", hint="download it again")


def _judged(folder: Path, path: str, found: Any, release: Release, message: Any) -> File:
    """Tell what is known of a file that can be read."""
    if (fault := graph.unsound(found)) is not None:
        return File(path=path, fault=fault, hint="export the model again")
    outside = externals(folder / path, found)
    given = placement.read(placement.prepared(folder / path, found))
    typed = None if given.resolved is None else given.resolved.model
    signature = None
    with suppress(GraphError):
        signature = graph.signature(found)
    has = graph.interface(found, typed)
    served = pbtxt.completed(message, has)
    refusal = placement.refusal(given, release, gpu=asked(message) != "cpu")
    on_cpu, widened = landing(given, release, message) if refusal is None else ({}, {})
    return File(
        path=path,
        has=has,
        served=served,
        misfits=tuple(pbtxt.misfits(served, has, scalars=release.scalars)),
        signature=signature,
        refusal=refusal,
        externals=outside,
        domains=tuple(sorted(given.opsets.keys() - {each.domain for each in found.functions})),
        inner=Counter(node.op for node in given.written if node.op in _INNER),
        cached_by=graph.cached_by(found),
        on_cpu=on_cpu,
        widened=widened,
    )


def _relative(said: str, path: Path) -> str:
    """Name a file as a finding does, whose place is told beside."""
    return said.replace(str(path), "it")
