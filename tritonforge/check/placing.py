"""Where in a config's text the place of a finding stands."""

from tritonforge import pbtxt
from tritonforge.pbtxt import strict


def position(text: str, path: str) -> tuple[int, int]:
    """Return line and column, as the server's log counts them, of what a path leads to.

    Where the text does not say it, that is the nearest message around it that stands there; the
    first line where none does.
    """
    at = pbtxt.start(text, path)
    start = text.rfind("\n", 0, at) + 1
    return text.count("\n", 0, at) + 1, column(text[start:at])


def column(before: str) -> int:
    """Return the column, as the server's log counts it, of what has this before it on its line.

    A character has as many as it has bytes, and a tab leads to the next multiple of eight.
    """
    line = before.encode("utf-8", errors="replace")
    return strict.place(line, len(line))[1]
