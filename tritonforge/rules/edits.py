"""Whether an edit makes a config one that a server refuses, of whatever release and backend."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.editing import schema, tree
from tritonforge.pbtxt.editing.clashes import Clash, clashes, refusal
from tritonforge.pbtxt.editing.places import fields_of
from tritonforge.pbtxt.editing.tree import Scalar
from tritonforge.pbtxt.editing.unknowns import parse_known
from tritonforge.release import EMBEDDED, find
from tritonforge.rules import OF_CONFIGS, Config, Found, Rule, broken

_HINT = "set what it depends on first, or a whole message as one value"
_FILE = "default_model_filename"
_NUMBER = re.compile(r"\[[0-9]+\]")
_RULES = tuple(each for each in OF_CONFIGS if each.is_lasting and each.severity == "refused")


def check_edit(before: str, after: str, file: Path | str = "config.pbtxt") -> None:
    """Raise `ConfigError` for an edit that adds an error to a config.

    What was wrong before may stay so, and of a text that cannot be read nothing is known; but one
    that says twice what it can say once is to be mended first.
    """
    _check_file(before, after)
    try:
        stood = Counter(_place(each) for _, each in _errors(before, file))
    except ConfigError:  # it is being mended, perhaps in several steps
        _check_clashes(before, after, file)
        return
    for rule, found in _errors(after, file):
        place = _place(found)
        if not stood[place]:
            raise ConfigError(
                f"a server would refuse the config: {found.at}: {found.said}",
                hint=None if rule.is_lone else _HINT,
            )
        stood[place] -= 1


def _check_file(before: str, after: str) -> None:
    """Raise `ConfigError` for an edit that names a file outside the folder of a version."""
    name = _file(after)
    if name != _file(before) and (name in {".", ".."} or "/" in name or "\0" in name):
        raise ConfigError(
            f"{_FILE} {name!r} is no name of a file in the version's folder",
            hint="write its name alone, such as model.onnx",
        )


def _file(text: str) -> str:
    """Return the name of the model's file, empty where a config gives none."""
    held = fields_of(tree.read(text), _FILE)
    value = held[-1].value if held else None
    return schema.string(value) if isinstance(value, Scalar) and value.is_string else ""


def _check_clashes(before: str, after: str, file: Path | str) -> None:
    """Raise `ConfigError` where a config says something twice, unless an edit takes some of it."""
    body = tree.read(before, file)
    stood = [*clashes(body)]
    if stood and _count([*clashes(tree.read(after, file))]) >= _count(stood):
        first = stood[0][0]
        raise refusal(before, stood[0], file, first.name if first in body.fields else None)


def _count(found: Sequence[Clash]) -> int:
    return sum(map(len, found))


def _errors(text: str, file: Path | str) -> Iterator[tuple[Rule, Found]]:
    """Yield what keeps every server from loading a config."""
    message = parse_known(text, file)
    return broken(_RULES, Config(message=message, release=find(EMBEDDED)))


def _place(found: Found) -> str:
    """Return a place but for numbers, which change where an element is taken out."""
    return _NUMBER.sub("[]", found.at)
