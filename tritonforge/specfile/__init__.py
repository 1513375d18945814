"""`tritonforge.toml`: what is wished of each model, under environments and flags."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge.errors import SpecError
from tritonforge.spec import ModelSpec
from tritonforge.specfile.layering import (
    Layer,
    Value,
    defaults,
    explained,
    layers,
    merged,
    spec_of,
)
from tritonforge.specfile.reading import FILE, SpecFile, check_model, read
from tritonforge.specfile.schema import rows, schema

__all__ = [
    "FILE",
    "Effective",
    "Layer",
    "SpecFile",
    "Value",
    "check_model",
    "effective",
    "find",
    "rows",
    "schema",
    "setting",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The spec that counts for a model: `values` are those that were said, each with its origin.

    `listed` says that the file has a table for it.
    """

    spec: ModelSpec
    values: tuple[Value, ...]
    listed: bool

    @property
    def defaults(self) -> tuple[Value, ...]:
        """Return what nobody has said."""
        return tuple(defaults(self.values, self.spec))


def find(path: Path | None) -> SpecFile | None:
    """Read the file at `path`; without one that of the current folder, None where it has none."""
    if path is None and not Path(FILE).is_file():
        return None
    return read(path or Path(FILE))


def setting(text: str) -> tuple[tuple[str, ...], Any]:
    """Read `KEY=VALUE` as a line of the file would be; a bare word is a text.

    Raises `SpecError`.
    """
    key, equals, value = text.partition("=")
    path = _parts(key) if equals and "\n" not in text else ()
    if path:
        for written in (value, json.dumps(value.strip())):
            try:
                said: Any = tomllib.loads(f"{key}={written}")
            except tomllib.TOMLDecodeError:
                continue
            for part in path:
                said = said.pop(part)
            return path, said
    raise SpecError(f"cannot read {text!r}", hint="write max_batch_size=8")


def _parts(key: str) -> tuple[str, ...]:
    """Return the parts of a dotted key; none where it is no key."""
    try:
        found: Any = tomllib.loads(f"{key}=true")
    except tomllib.TOMLDecodeError:
        return ()
    parts: list[str] = []
    while isinstance(found, dict):
        parts.append(next(iter(found)))
        found = found[parts[-1]]
    return tuple(parts)


def effective(
    name: str, file: SpecFile | None, env: str | None = None, above: Layer | None = None
) -> Effective:
    """Return the spec of a model of the file, or of a source under the file's defaults.

    `above` lies over what the file says. Raises `SpecError`.
    """
    if file is None and env is not None:
        raise SpecError(f"--env {env} needs a {FILE}", hint="tritonforge init writes one")
    stack = [] if above is None else [above]
    listed = False
    if file is not None:
        file.check_env(env)
        listed = name in file.models(env)
        stack = [*layers(file, name if listed else None, env), *stack]
    whole, values = merged(stack)
    if listed:
        whole.setdefault("source", name)
    try:
        spec = spec_of(name, whole, named=listed)
    except SpecError as error:
        raise (explained(file, name, error) if file is not None and listed else error) from error
    return Effective(spec=spec, values=values, listed=listed)
