"""On which line of a TOML file each key stands, which Python's own reader does not tell."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

_WHERE = re.compile(r" \(at (?:line (?P<line>[0-9]+), column [0-9]+|end of document)\)\Z")
At = tuple[str | int, ...]

# The parts of a text in which no other part begins: strings, comments, brackets and ends of lines.
# Up to two quotes may stand before those that close a string of several lines.
_PART = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|\#[^\n]*+"
    r"|[\[\]{}\n]"
    r"|[^\[\]{}\"'\#\n]++",
    re.DOTALL,
)


def positions(text: str) -> Mapping[At, int]:
    """Return the line, from 1 up, on which each key of a valid TOML text is said first.

    What a value holds is said where its statement begins. Entries of a list are keys too, by their
    number.
    """
    found: dict[At, int] = {}
    counts: Counter[At] = Counter()  # how many of each `[[array]]` there have been
    table: At = ()
    for line, statement in _statements(text.replace("\r\n", "\n")):
        said = tomllib.loads(statement)
        if statement.startswith("["):
            table = _opened(said, counts)
            keys: Iterator[At] = (table[:length] for length in range(1, len(table) + 1))
        else:
            keys = _paths(said, table)
        for at in keys:
            found.setdefault(at, line)
    return found


def faulty(error: tomllib.TOMLDecodeError, text: str) -> tuple[str, int]:
    """Part the error of a text into what is wrong and the line, from 1 up, on which it is."""
    last = text.rstrip("\n").count("\n") + 1
    match = _WHERE.search(str(error))  # only Python 3.14 and later tell the line apart
    if match is None:
        return str(error), last
    return str(error)[: match.start()], int(match["line"] or last)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement, a header or a key with its value, and the line that it begins on."""
    line, began, depth = 1, 1, 0
    parts: list[str] = []
    for match in _PART.finditer(text):
        part = match.group()
        if parts or not (part.isspace() or part.startswith("#")):
            began = began if parts else line
            parts.append(part)
        depth += (part in {"[", "{"}) - (part in {"]", "}"})
        line += part.count("\n")
        if part == "\n" and not depth and parts:
            yield began, "".join(parts).lstrip()
            parts = []
    if parts:
        yield began, "".join(parts).lstrip()


def _opened(said: Any, counts: Counter[At]) -> At:
    """Return the path of the table that a header opens: of an array the entry opened last."""
    at: At = ()
    while said:
        key = next(iter(said))
        at, said = (*at, key), said[key]
        if isinstance(said, list):
            counts[at] += 1
            said = said[0]
        if counts[at]:
            at = (*at, counts[at] - 1)
    return at


def _paths(said: Any, at: At) -> Iterator[At]:
    """Yield the path of everything below a place of a document, outer first."""
    for key, item in entries(said):
        yield (*at, key)
        yield from _paths(item, (*at, key))


def entries(said: Any) -> Iterator[tuple[str | int, Any]]:
    """Yield what a table or a list holds, by key or number; nothing of what is neither."""
    if isinstance(said, Mapping):
        yield from said.items()
    elif isinstance(said, list):
        yield from enumerate(said)
