"""Where in a config's text the place of a finding stands."""

from tritonforge import pbtxt


def position(text: str, path: str) -> tuple[int, int]:
    """Return line and column, from 1, of what a path leads to in a text that can be read.

    Where the text does not say it, that is the nearest message around it that stands there; the
    first line where none does.
    """
    at = pbtxt.start(text, path)
    line = text.count("\n", 0, at) + 1
    return line, at - (text.rfind("\n", 0, at) + 1) + 1
