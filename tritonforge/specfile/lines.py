"""On which line of a TOML file each key stands, which Python's own reader does not tell."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

At = tuple[str | int, ...]

_ARRAY = re.compile(r"\s*\[\[")


def positions(text: str) -> Mapping[At, int]:
    """Return the line, from 1 up, on which each key of a valid TOML text is said first.

    A statement ends with the first line at which it parses, under the header that it stands under.
    Entries of a list are keys too, by their number.
    """
    found: dict[At, int] = {}
    tables: Counter[At] = Counter()  # how many of each `[[array]]` there have been
    header, pending, start = "", "", 1
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        start = start if pending else number
        pending += line
        if not pending.strip() or pending.lstrip().startswith("#"):
            pending = ""
            continue
        is_header = pending.lstrip().startswith("[")
        said = _parsed(pending if is_header else header + pending)
        if said is None:
            continue
        if is_header:
            header = pending if pending.endswith("\n") else pending + "\n"
            if _ARRAY.match(header):
                opened = _innermost(said)
                for inner in [each for each in tables if each[: len(opened)] == opened != each]:
                    del tables[inner]
                tables[opened] += 1
        for at in _paths(said, ()):
            found.setdefault(_numbered(at, tables), start)
        pending = ""
    return found


def _parsed(text: str) -> dict[str, Any] | None:
    """Parse a statement; None where it goes on."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _innermost(said: Any) -> At:
    """Return the path of the one table of an array's header, without numbers."""
    at: list[str] = []
    while isinstance(said, Mapping | list) and said:
        if isinstance(said, list):
            said = said[0]
            continue
        key = next(iter(said))
        at.append(key)
        said = said[key]
    return tuple(at)


def _paths(said: Any, at: At) -> Iterator[At]:
    """Yield the path of everything in a document, outer first."""
    if at:
        yield at
    items: Any = ()
    if isinstance(said, Mapping):
        items = said.items()
    elif isinstance(said, list):
        items = enumerate(said)
    for key, item in items:
        yield from _paths(item, (*at, key))


def _numbered(at: At, tables: Mapping[At, int]) -> At:
    """Add numbers to the arrays of tables on a path by the table that was opened last."""
    whole: list[str | int] = []
    for part in at:
        names = tuple(each for each in whole if isinstance(each, str))
        if tables.get(names) and isinstance(whole[-1], str):
            whole.append(tables[names] - 1)
            if isinstance(part, int):
                continue
        whole.append(part)
    return tuple(whole)
