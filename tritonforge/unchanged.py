"""Whether a build would make what stands already: the same wishes, files and versions.

Between adapters and use cases: what a build was made from is written to its manifest, and held
against what the next one would be made from. Nothing heavy is loaded for it.
"""

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tritonforge import __version__, manifest
from tritonforge.errors import RepositoryError
from tritonforge.manifest import Manifest, Stamp
from tritonforge.repository import Entry, Repository, Stage
from tritonforge.spec import ModelSpec

# What a build is made with, beside the target: any of them may make another file.
_TOOLS = (
    *("jinja2", "numpy", "onnx", "onnxruntime", "onnxscript"),
    *("protobuf", "safetensors", "torch", "torchvision"),
)


def inputs_of(spec: ModelSpec, largest: int, *, kept: bool) -> str:
    """Return the hash of all that a build depends on beside the files that it reads.

    `largest` is the batch that it proves, `kept` says that it is for a config that stands.
    """
    versions = {"tritonforge": __version__, "python": platform.python_version()}
    for tool in _TOOLS:
        try:
            versions[tool] = metadata.version(tool)
        except metadata.PackageNotFoundError:
            versions[tool] = ""
    text = json.dumps([_plain(spec), largest, kept, versions], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Turn a spec into what JSON holds, the same each time."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def named_files(spec: ModelSpec) -> Iterator[Path]:
    """Yield the files that a spec itself names."""
    if spec.weights not in {"default", "random"}:
        yield Path(spec.weights)
    for sample in spec.samples:
        yield from sorted(sample.rglob("*.pb")) if sample.is_dir() else (sample,)
    for _, path in spec.labels:
        yield path
    if spec.templates is not None:
        yield from sorted(each for each in spec.templates.rglob("*") if each.is_file())


def stamps(paths: Iterable[Path]) -> dict[str, Stamp]:
    """Stamp files, by their whole path."""
    return {str(path.absolute()): Stamp.of(path) for path in paths if path.is_file()}


def beside(stage: Stage) -> dict[str, Stamp]:
    """Stamp what a stage brings beside its version, as the model's folder will hold it."""
    return {
        str(path.relative_to(stage.path)): Stamp.of(path)
        for extra in stage.extras
        for path in (sorted(extra.rglob("*")) if extra.is_dir() else (extra,))
        if path.is_file()
    }


def standing(
    repository: Repository, name: str, spec: ModelSpec, inputs: str
) -> tuple[Entry, Manifest] | None:
    """Return the newest version where a build of `spec` would make it again, else None.

    `inputs` is the hash of that build.
    """
    if name not in repository.models():
        return None
    try:
        entry = repository.entry(name)
        known = manifest.read(entry.version_dir)
    except RepositoryError:  # no version, or a damaged one: it is to be built
        return None
    if known is None or not known.inputs or known.inputs != inputs:
        return None
    if repository.config(name) != known.config:
        return None
    named = {str(path.absolute()) for path in named_files(spec)}
    same = named <= known.read.keys() and all(
        stamp.fits(Path(folder, path))
        for folder, files in (
            ("/", known.read),
            (entry.version_dir, known.files),
            (entry.model_dir, known.beside),
        )
        for path, stamp in files.items()
    )
    return (entry, known) if same else None
