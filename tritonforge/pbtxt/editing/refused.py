"""Whether an edit makes a config one that a server refuses, of whatever release and model."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.editing.unknowns import parse_known
from tritonforge.pbtxt.targeted import Fault, lasting

_NUMBER = re.compile(r"\[[0-9]+\]")


def check_edit(before: str, after: str, file: Path | str = "config.pbtxt") -> None:
    """Raise `ConfigError` for an edit that adds an error to a config.

    What was wrong before may stay so, and of a text that cannot be read nothing is known.
    """
    try:
        stood = Counter(_place(each) for each in _errors(before, file))
    except ConfigError:  # it is being mended, perhaps in several steps
        return
    for each in _errors(after, file):
        place = _place(each)
        if not stood[place]:
            raise ConfigError(
                f"a server would refuse the config: {each.path}: {each.said}",
                hint="set what it depends on first, or a whole message as one value",
            )
        stood[place] -= 1


def _errors(text: str, file: Path | str) -> Iterator[Fault]:
    """Yield what keeps a server from loading a config."""
    return (each for each in lasting(parse_known(text, file)) if each.severity == "error")


def _place(fault: Fault) -> str:
    """Return where a fault stands but for numbers, which change where an element is taken out."""
    return _NUMBER.sub("[]", fault.path)
