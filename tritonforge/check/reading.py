"""A repository as a server would find it, read without loading a model."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tritonforge import graph, manifest, pbtxt, placement
from tritonforge.errors import ForgeError, GraphError, RepositoryError
from tritonforge.graph import lean
from tritonforge.graph.external import externals
from tritonforge.manifest import Manifest
from tritonforge.pbtxt import strict
from tritonforge.release import EMBEDDED, Release, find
from tritonforge.repository import CONFIG, MODEL, Repository
from tritonforge.rules import Config, File, Model

_STRAY = re.compile("[\udc80-\udcff]")  # how Python writes a byte that is not UTF-8


def model(repository: Repository, name: str, target: Release | None) -> Model:
    """Read one model; without a target for the release that it was built for, else the default."""
    folder = repository.path / name
    versions = repository.versions(name)
    manifests = _manifests(folder, versions)
    release = target or _built_for(manifests)
    raw = _raw(folder / CONFIG)
    said = None if raw is None else strict.read(raw, release.triton)
    message = said.message if said is not None and said.is_known else None
    return Model(
        name=name,
        path=folder,
        release=release,
        entries=tuple(sorted(f"{each.name}{'/' * each.is_dir()}" for each in folder.iterdir())),
        text=None if raw is None else _text(raw),
        config=None if message is None else Config(message=message, release=release),
        files=_files(folder, message, versions, release),
        manifests=manifests,
        flaws=() if said is None else said.flaws,
    )


def _raw(path: Path) -> bytes | None:
    """Return the bytes of a config, None where there is none."""
    return path.read_bytes() if path.is_file() else None


def _text(raw: bytes) -> str:
    """Return bytes as text, its line ends as they are, with a sign for each that is not UTF-8."""
    return _STRAY.sub("\ufffd", raw.decode("utf-8", "surrogateescape"))


def _manifests(folder: Path, versions: tuple[int, ...]) -> dict[int, Manifest]:
    """Read what tritonforge wrote beside the versions that it built."""
    found = {}
    for number in versions:
        with suppress(RepositoryError):
            known = manifest.read(folder / str(number))
            if known is not None:
                found[number] = known
    return found


def _built_for(manifests: Mapping[int, Manifest]) -> Release:
    """Return the release that the newest version was built for, else the default."""
    for number in sorted(manifests, reverse=True):
        with suppress(ForgeError):
            return find(manifests[number].target)
    return find(EMBEDDED)


def _files(
    folder: Path, message: Any, versions: tuple[int, ...], release: Release
) -> dict[int, File]:
    """Read the files of the versions that the server loads, where ONNX Runtime serves them."""
    if message is not None and not Config(message=message, release=release).is_onnx:
        return {}
    served = versions if message is None else pbtxt.served(message, versions)
    name = MODEL if message is None else message.default_model_filename or MODEL
    return {number: _file(folder, f"{number}/{name}", release) for number in served}


def _file(folder: Path, path: str, release: Release) -> File:
    """Read a file by its graph alone."""
    try:
        found = lean.read(folder / path)
        outside = externals(folder / path, found)
        return File(
            path=path,
            signature=graph.signature(found),
            refusal=placement.refusal(placement.read(found), release),
            externals=outside,
        )
    except GraphError as error:
        return File(path=path, fault=error.message)
