"""`tritonforge.toml`: what is wished of each model, under environments and flags."""

import json
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tritonforge import sources
from tritonforge.errors import ForgeError, SourceError, SpecError
from tritonforge.spec import ModelSpec
from tritonforge.specfile import blaming
from tritonforge.specfile.checking import check_model
from tritonforge.specfile.layering import Layer, Value, defaults, layers, merged, parted, spec_of
from tritonforge.specfile.reading import FILE, SpecFile, document, read
from tritonforge.specfile.schema import rows, schema
from tritonforge.specfile.values import check_numbers, shown

__all__ = [
    "FILE",
    "Effective",
    "Layer",
    "SpecFile",
    "Value",
    "check_model",
    "check_source",
    "effective",
    "find",
    "parted",
    "rows",
    "schema",
    "setting",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The spec that counts for a model: `values` are those that were said, each with its origin.

    `home` says where in the file its table stands, None where it has none.
    """

    spec: ModelSpec
    values: tuple[Value, ...]
    home: str | None

    @property
    def listed(self) -> bool:
        """Say whether the file has a table for it."""
        return self.home is not None

    @property
    def defaults(self) -> tuple[Value, ...]:
        """Return what nobody has said."""
        return tuple(defaults(self.values, self.spec))

    def located(self, error: ForgeError) -> ForgeError:
        """Return an error of a build from the spec that says which line or flag it is about.

        One of a source that the command line names is about nothing else.
        """
        if not isinstance(error, SourceError):
            return blaming.located(error, self.values)
        if self.home is None:
            return error
        about = SourceError(error.message, hint=error.hint, at=error.at or ("source",))
        return blaming.located(about, self.values, self.home)


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
    path = _parts(key) if equals and "\n" not in text and _is_utf8(text) else ()
    if not path:
        raise SpecError(f"cannot read {shown(text)}", hint="write max_batch_size=8")
    try:
        said: Any = document(f"{key}={value}")
    except SpecError as error:
        if not isinstance(error.__cause__, tomllib.TOMLDecodeError):
            raise SpecError(f"{shown(text)} {error.message}", hint=error.hint) from error
        quoted = json.dumps(value.strip()).replace("\x7f", "\\u007f")
        said = document(f"{key}={quoted}")
    for part in path:
        said = said.pop(part)
    check_numbers(said, path)
    return path, said


def _is_utf8(text: str) -> bool:
    """Say whether a text of the command line is one; what is not holds halves of signs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parts(key: str) -> tuple[str, ...]:
    """Return the parts of a dotted key; none where it is no key."""
    try:
        found: Any = document(f"{key}=true")
    except SpecError:
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
    home = None
    if file is not None:
        file.check_env(env)
        home = file.home(name, env) if name in file.models(env) else None
        stack = [*layers(file, None if home is None else name, env), *stack]
    whole, values = merged(stack)
    if home is not None:
        whole.setdefault("source", name)
    try:
        spec = spec_of(name, whole, named=home is not None)
    except SpecError as error:
        raise blaming.located(error, values, home or "") from error
    return Effective(spec=spec, values=values, home=home)


def check_source(name: str, file: SpecFile | None, env: str | None = None) -> None:
    """Raise `SourceError` for what is neither a model of the file nor a source, as far as names go.

    Of near misses those of the file come first.
    """
    listed = () if file is None else file.models(env)
    if name in listed:
        return
    try:
        sources.check(name)
    except SourceError as error:
        near = get_close_matches(name, listed, n=1)
        if file is None or not near:
            raise
        hint = f"did you mean {near[0]!r} of {file.path}?"
        raise SourceError(error.message, hint=hint) from error
