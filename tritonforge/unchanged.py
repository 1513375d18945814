"""Whether a build would make what stands already: the same wishes, files and versions.

Between adapters and use cases: what a build was made from is written to its manifest, and held
against what the next one would be made from. Nothing heavy is loaded for it.
"""

import hashlib
import json
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tritonforge import manifest, pbtxt, sources, toolchain
from tritonforge.errors import RepositoryError
from tritonforge.manifest import Manifest
from tritonforge.release import Release
from tritonforge.repository import Entry, Repository, Stage
from tritonforge.spec import ModelSpec
from tritonforge.stamp import Stamp, sha256
from tritonforge.toolchain import home

# Libraries that take part once they are installed, so that one which is not is remembered too.
TOOLS = (
    *("jinja2", "numpy", "onnx", "onnxruntime", "onnxscript"),
    *("protobuf", "safetensors", "torch", "torchvision"),
)


def inputs_of(spec: ModelSpec, largest: int, *, kept: bool) -> str:
    """Return the hash of all that a build depends on beside files that it reads, and libraries.

    `largest` is the batch that it proves, `kept` says that it is for a config that stands.
    """
    who = {"source": sources.identity(spec.source), "python": platform.python_version()}
    text = json.dumps([{**_plain(spec), **who}, largest, kept, _ourselves()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def _ourselves() -> str:
    """Return the hash of tritonforge's own files, which tells a checkout from its next state."""
    digest = hashlib.sha256()
    for folder in (Path(__file__).parent, pbtxt.templates()):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(folder)}:{sha256(path)};".encode())
    return digest.hexdigest()


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
    """Stamp what was looked at, by its whole path."""
    return {str(path.absolute()): Stamp.looked_at(path) for path in paths}


def late(reads: sources.Reads, stage: Stage) -> dict[str, Stamp]:
    """Stamp what a user's code has read while it was run; what we make and load then is not its."""
    ours = (stage.path.absolute(), home.folder())
    return stamps(
        path for path in reads.paths if not any(path.is_relative_to(each) for each in ours)
    )


def standing(
    repository: Repository, name: str, spec: ModelSpec, inputs: Collection[str]
) -> tuple[Entry, Manifest] | None:
    """Return the newest version where a build of `spec` would make it again, else None.

    `inputs` are the hashes that such a build may have. Its config may have been edited since.
    """
    if name not in repository.models() or repository.config(name) is None:
        return None
    try:
        entry = repository.entry(name)
        known = manifest.read(entry.version_dir)
    except RepositoryError:  # no version, or a damaged one: it is to be built
        return None
    if known is None or not known.inputs or known.inputs not in inputs:
        return None
    same = (
        all(sources.version(each) == version for each, version in known.tools.items())
        and _has_read(known, spec)
        and _stand(entry, known)
        and not (known.loaded_by is None and _is_at_hand(spec.target))
    )
    return (entry, known) if same else None


def _has_read(known: Manifest, spec: ModelSpec) -> bool:
    """Say whether a build has read what a spec names now, its source before all."""
    named = {str(path.absolute()) for path in named_files(spec)}
    if sources.is_a_file(spec.source):
        own = sources.file(spec.source)
        named.add("" if own is None else str(own.absolute()))
    return named <= known.read.keys()


def _stand(entry: Entry, known: Manifest) -> bool:
    """Say whether all files are those that a build has read and made."""
    return all(
        stamp.fits(Path(folder, path))
        for folder, files in (
            ("/", known.read),
            (entry.version_dir, known.files),
            (entry.model_dir, known.beside),
        )
        for path, stamp in files.items()
    )


def _is_at_hand(target: Release) -> bool:
    """Say whether a file could be tried on the target's own ONNX Runtime now."""
    tools = toolchain.installed(target)
    return tools is not None and tools.onnxruntime == target.onnxruntime
