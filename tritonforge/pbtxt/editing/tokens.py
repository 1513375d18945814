"""The words of a config's text, each with its place; what lies between them is space and comments.

The words are those that protobuf's reader for Python knows, so that what it reads is read here.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tritonforge.errors import ConfigError

Kind = Literal["word", "string", "mark"]

_SPACE = re.compile(r"(?:\s|#[^\n]*)*")
_WORD = r"[a-zA-Z_][0-9a-zA-Z_+-]*|(?:[0-9+-]|\.[0-9])[0-9a-zA-Z_.+-]*"
_STRING = r'"(?:[^"\n\\]|\\.)*"|' + r"'(?:[^'\n\\]|\\.)*'"
_MARK = r"[{}<>\[\]:,;./]"
_TOKEN = re.compile(f"(?P<word>{_WORD})|(?P<string>{_STRING})|(?P<mark>{_MARK})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A word, a quoted string or a mark, and where it stands: `text[start:end]`."""

    kind: Kind
    text: str
    start: int
    end: int


def lex(text: str, file: Path | str) -> tuple[Token, ...]:
    """Part a text into its words; raise `ConfigError` for a string without end or a stray sign."""
    found: list[Token] = []
    at = _gap(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _stray(text, at, file)
        kind: Any = match.lastgroup
        found.append(Token(kind=kind, text=match[0], start=at, end=match.end()))
        at = _gap(text, match.end())
    return tuple(found)


def fault(text: str, at: int, said: str, file: Path | str) -> ConfigError:
    """Return the error of a place in a text, told by line and column."""
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return ConfigError(f"{file}:{line}:{column}: {said}", hint="mend the line")


def _gap(text: str, at: int) -> int:
    """Return where the space and the comments that begin at a place end."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _stray(text: str, at: int, file: Path | str) -> ConfigError:
    """Return the error of a place where no token begins."""
    if text[at] in "\"'":
        return fault(text, at, "this string has no end on its line", file)
    return fault(text, at, f"{text[at]!r} means nothing here", file)
