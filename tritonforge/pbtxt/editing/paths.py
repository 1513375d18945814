"""Paths to what a config holds: `instance_group[0].count`, `parameters["a.b"]`, `input[ids].dims`.

::

    path = field { "." field | "[" index | "+" | key "]" }

An index counts from 0, `+` stands for a new element behind the last, and a key is the name of an
element or the key of a map, quoted where it holds signs that a path needs or is a number. Behind a
map a key may also follow a dot. A field's own name may stand in brackets: `[foo.bar]`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tritonforge.errors import ConfigError

_HINT = 'write it as instance_group[0].count, input[ids].dims or parameters["a.b"]'
_LONGEST = 9  # digits of an index
_NAME = re.compile(r"[^\s.\[\]\"']+")
_EXTENSION = re.compile(r"\[[^\s\[\]\"']+\]")
_SUBSCRIPT = re.compile(
    r"""\[\s*(?:(?P<index>[0-9]+)|(?P<append>\+)|(?P<negative>-[0-9]+)|
    (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<bare>[^\s\[\]"']+))\s*\]""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A field, or behind a map a key."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An element by its number from 0, or with None a new one behind the last."""

    number: int | None

    def __str__(self) -> str:
        return "[+]" if self.number is None else f"[{self.number}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An element by its `name`, or by its key in a map."""

    text: str

    def __str__(self) -> str:
        bare = re.fullmatch(r"[^\s\[\]\"'+-][^\s\[\]\"'\\]*", self.text)
        if bare and not self.text.isdigit():
            return f"[{self.text}]"
        escaped = self.text.replace("\\", "\\\\").replace('"', '\\"')
        return f'["{escaped}"]'


Step = Name | Index | Key


def parse(text: str) -> tuple[Step, ...]:
    """Read a path; raise `ConfigError` for what is none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError("the path is not UTF-8", hint=_HINT) from error
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if steps and text[at] == "[":
            step, at = _subscript(text, at)
        else:
            step, at = _name(text, at + 1 if steps and text[at] == "." else at)
        steps.append(step)
        if at < len(text) and text[at] not in ".[":
            raise _refusal(text, f"{text[at]!r} cannot follow {text[:at]!r}")
    if not steps:
        raise _refusal(text, "it is empty")
    return tuple(steps)


def write(steps: tuple[Step, ...]) -> str:
    """Return the text of a path; `parse(write(p)) == p`."""
    parts = [f".{each}" if isinstance(each, Name) else str(each) for each in steps]
    return "".join(parts).removeprefix(".")


def is_name(text: str) -> bool:
    """Say whether a text may stand as it is in a path, without brackets and quotes."""
    return _NAME.fullmatch(text) is not None or _EXTENSION.fullmatch(text) is not None


def _name(text: str, at: int) -> tuple[Step, int]:
    """Read the name of a field, or one in brackets."""
    match = _NAME.match(text, at) or _EXTENSION.match(text, at)
    if match is None:
        raise _refusal(text, f"the name of a field is missing at character {at + 1}")
    return Name(text=match.group()), match.end()


def _subscript(text: str, at: int) -> tuple[Step, int]:
    """Read what is between square brackets."""
    match = _SUBSCRIPT.match(text, at)
    if match is None:
        raise _refusal(text, f"a closing ']' or what it encloses is missing behind {text[:at]!r}")
    if match["negative"]:
        raise _refusal(text, "an index counts from 0 and is not negative")
    if match["index"] and len(match["index"]) > _LONGEST:
        raise _refusal(text, "no list is that long")
    if match["index"]:
        return Index(number=int(match["index"])), match.end()
    if match["append"]:
        return Index(number=None), match.end()
    key = match["bare"] or re.sub(r"\\(.)", r"\1", match["quoted"][1:-1], flags=re.DOTALL)
    return Key(text=key), match.end()


def _refusal(text: str, said: str) -> ConfigError:
    return ConfigError(f"{text!r} is no path: {said}", hint=_HINT)


def told_apart(field: str, entries: Any) -> Iterator[tuple[str, Any]]:
    """Yield each entry of a repeated field with its place: `input[x]`, else `input[0]`."""
    names = [_called(each) for each in entries]
    times = Counter(names)
    for number, (name, each) in enumerate(zip(names, entries, strict=True)):
        alone = name and times[name] == 1
        yield (f"{field}{Key(text=name)}" if alone else f"{field}[{number}]"), each


def _called(entry: Any) -> str:
    """Return the name of an entry; nothing where it bears none."""
    return str(entry.name) if "name" in entry.DESCRIPTOR.fields_by_name else ""
