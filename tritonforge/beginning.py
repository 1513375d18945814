"""A file of specs to begin with: a table for each source, the rest as comments."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tritonforge import graph, pbtxt, release, sources, specfile
from tritonforge.errors import SpecError
from tritonforge.spec import valid_name
from tritonforge.specfile import FILE, schema

__all__ = ["FILE", "SCHEMA", "Begun", "begin", "describe", "write"]

SCHEMA = "tritonforge.schema.json"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The text of a new file, and whether a JSON Schema goes beside it."""

    text: str
    with_schema: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """A model of the new file; `source` None where its name says it."""

    name: str
    source: str | None
    dims: tuple[str, ...]


def begin(given: Sequence[str], path: Path, *, with_schema: bool) -> Begun:
    """Write the text of a file at `path`; raises `SourceError` or `SpecError` for a bad source."""
    models: list[_Model] = []
    for text in given:
        kind = sources.kind(text)
        name = valid_name(kind.model_name(text))
        if name in [each.name for each in models]:
            raise SpecError(f"two sources give a model {name!r}", hint="add one by hand")
        source = None if text == name else _from(text, path.parent)
        models.append(_Model(name=name, source=source, dims=_dims(text)))
    text = pbtxt.fill(
        "tritonforge.toml.j2",
        filters={"toml": _toml, "key": _key},
        values={
            "schema": SCHEMA if with_schema else "",
            "target": release.EMBEDDED,
            "models": models,
        },
    )
    return Begun(text=text, with_schema=with_schema)


def write(begun: Begun, path: Path, *, force: bool) -> Iterator[Path]:
    """Write the file, and the schema beside it; yield what was written.

    Raises `SpecError` where either is there already, unless with `force`; then none is written.
    """
    texts = {path: begun.text}
    if begun.with_schema:
        texts |= _described(path)
    for each in texts:
        if each.exists() and not force:
            raise SpecError(f"{each} is there already", hint="replace it with --force, or edit it")
    for each, text in texts.items():
        _replace(each, text)
        yield each
    specfile.find(path)


def describe(path: Path) -> Path:
    """Write the schema anew beside a file that stands, and return where it lies."""
    ((place, text),) = _described(path).items()
    _replace(place, text)
    return place


def _described(path: Path) -> dict[Path, str]:
    """Return the schema's place beside a file, and its text."""
    return {path.parent / SCHEMA: json.dumps(schema(), indent=1) + "\n"}


def _from(text: str, folder: Path) -> str:
    """Return a source as the file names it, from its own folder on."""
    before, file, behind = specfile.parted(text, Path())
    return before + (os.path.relpath(file, folder) if file else "") + behind


def _dims(text: str) -> tuple[str, ...]:
    """Return the dynamic dimensions of a file beside its batch."""
    if not text.lower().endswith(".onnx") or not Path(text).is_file():
        return ()
    signature = graph.signature(graph.load(Path(text)))
    return tuple(name for name in signature.dynamic if name != signature.batch)


def _replace(path: Path, text: str) -> None:
    """Write a file in one step."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, "utf-8")
        aside.replace(path)
    except OSError as error:
        raise SpecError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)


def _toml(text: str) -> str:
    """Write a string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(text: str) -> str:
    """Write a key of TOML."""
    return text if _BARE.fullmatch(text) else _toml(text)
