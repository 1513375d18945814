"""A repository as a server would find it, read without loading a model."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tritonforge import graph, manifest, pbtxt, placement
from tritonforge.errors import ConfigError, ForgeError, GraphError, RepositoryError
from tritonforge.graph import lean
from tritonforge.graph.external import externals
from tritonforge.manifest import Manifest
from tritonforge.release import EMBEDDED, Release, find
from tritonforge.repository import CONFIG, MODEL, Repository
from tritonforge.rules import Config, File, Model


def model(repository: Repository, name: str, target: Release | None) -> Model:
    """Read one model; without a target for the release that it was built for, else the default."""
    folder = repository.path / name
    versions = repository.versions(name)
    manifests = _manifests(folder, versions)
    release = target or _built_for(manifests)
    text = _text(folder / CONFIG)
    config = _config(text, release)
    message = None if config is None else config.message
    return Model(
        name=name,
        path=folder,
        release=release,
        entries=tuple(sorted(f"{each.name}{'/' * each.is_dir()}" for each in folder.iterdir())),
        text=text,
        config=config,
        files=_files(folder, message, versions, release),
        manifests=manifests,
    )


def _text(path: Path) -> str | None:
    """Return the text of a config, None where there is none."""
    return path.read_text("utf-8", errors="replace") if path.is_file() else None


def _config(text: str | None, release: Release) -> Config | None:
    """Read a config; None where there is none or it cannot be read."""
    if text is None:
        return None
    try:
        return Config(message=pbtxt.parse_known(text), release=release)
    except ConfigError:
        return None


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
