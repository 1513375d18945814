"""The line of a config that a finding is about, with a mark under what it means."""

import re
import unicodedata

from tritonforge.check import Finding
from tritonforge.cli import output

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[\w.+-]+|.', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")
_CUT = "…"


def excerpt(finding: Finding, columns: int) -> list[str]:
    """Return the line and the mark below it; nothing where the line is not what it is about."""
    written, line, column = finding.written, finding.line, finding.character
    if written is None or line is None or column is None:
        return []
    end = len(written) + bool(written.strip())  # what is missing there is marked behind a line
    if not 1 <= column <= end:
        return []
    word = _WORD.match(written, column - 1)
    marked = "" if word is None else word.group()
    if _is_elsewhere(finding, marked):
        return []
    gutter = f"  {line} | "
    before, text = _cut(written, column - 1, columns - len(gutter))
    mark = "^" * max(1, min(_width(_plain(marked)), _width(text) - _width(before)))
    margin = " " * (len(gutter) - 2)
    return [f"{gutter}{text}", f"{margin}| {' ' * _width(before)}{mark}"]


def _is_elsewhere(finding: Finding, word: str) -> bool:
    """Say whether the place stands for one that the text does not have, or for the whole file."""
    at = finding.found.at
    if not at:
        return finding.found.line is None
    return _NAME.fullmatch(word) is not None and word not in _NAME.findall(at)


def _cut(written: str, at: int, room: int) -> tuple[str, str]:
    """Return what goes before a place and the whole line, both as shown, cut around the place."""
    begin = 0 if max(len(written), at + 1) <= room else max(0, at - room // 2)
    end = len(written) if len(written) - begin <= room else begin + max(room - 2, 1)
    head = _CUT if begin else ""
    before = head + _plain(written[begin:at])
    return before, before + _plain(written[at:end]) + (_CUT if end < len(written) else "")


def _plain(text: str) -> str:
    """Write a part of a line so that it steers no terminal and tabs have a width."""
    return output.line(text.replace("\t", "    "))


def _width(text: str) -> int:
    """Return how many columns a text takes: of some scripts a sign takes two, others none."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
