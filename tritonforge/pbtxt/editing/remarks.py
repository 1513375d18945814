"""The comments of a config's text, whether the rest of it can be read or not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# a string that has no end ends with its line, so that no text costs more than one pass
_PART = re.compile(
    r'"(?:[^"\n\\]|\\[^\n])*"?' + r"|'(?:[^'\n\\]|\\[^\n])*'?" + r"|(?P<remark>#[^\n]*)|\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A comment without its `#`; line and column, from 1, are of that.

    `about` is the line that it speaks of: its own, or where it stands alone the next one that
    says something. `is_leading` says that nothing but comments goes before.
    """

    text: str
    line: int
    column: int
    about: int
    is_leading: bool


def remarks(text: str) -> Iterator[Remark]:
    """Yield the comments of a text."""
    lines = text.split("\n")
    following = _following(lines)
    line, begins, is_leading = 1, 0, True
    for part in _PART.finditer(text):
        if part.group() == "\n":
            is_leading = is_leading and _says_nothing(lines[line - 1])
            line, begins = line + 1, part.end()
        elif part["remark"] is not None:
            is_alone = not text[begins : part.start()].strip()
            yield Remark(
                text=part.group()[1:].strip(),
                line=line,
                column=part.start() - begins + 1,
                about=following[line] if is_alone else line,
                is_leading=is_leading and is_alone,
            )


def _following(lines: list[str]) -> list[int]:
    """Return of each line's number that of the next one that says something, else of the last."""
    following = [len(lines)] * (len(lines) + 1)
    for number in range(len(lines) - 1, 0, -1):
        following[number] = following[number + 1] if _says_nothing(lines[number]) else number + 1
    return following


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")
