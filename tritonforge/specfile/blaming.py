"""Who said what an error of a whole spec is about: a line of the file, or a flag."""

import re
from collections.abc import Iterator, Sequence

from tritonforge.errors import ForgeError
from tritonforge.specfile.keys import KEYS
from tritonforge.specfile.layering import Value
from tritonforge.specfile.lines import At

_FLAG = re.compile(r"--[a-z]+(?:-[a-z]+)*")
_SET = "--set"


def located(error: ForgeError, values: Sequence[Value], home: str = "") -> ForgeError:
    """Return an error that begins with where it comes from: a line and the key, or a flag.

    Where no value is to blame it begins with `home`, where the model's table stands.
    """
    value = _blamed(error, values)
    if value is None:
        start = f"{home}: " if home else ""
        return type(error)(f"{start}{error.message}", hint=error.hint, at=error.at)
    at = error.at or value.at
    key = ".".join(map(str, at))
    start = f"{value.origin}: {key}: " if value.origin else f"{key}: "
    if value.origin.startswith("-") and value.origin != _SET:
        start = "" if value.origin in error.message else f"{value.origin}: "
    return type(error)(f"{start}{error.message}", hint=error.hint, at=at)


def _blamed(error: ForgeError, values: Sequence[Value]) -> Value | None:
    """Return the value that lies nearest to an error's key, else of a flag that it names."""
    for at in (error.at, *_named(error.message)):
        nearest = max(values, key=lambda value: _shared(value.at, at), default=None)
        if nearest is not None and _shared(nearest.at, at):
            return nearest
    return None


def _named(message: str) -> Iterator[At]:
    """Yield the keys whose flags a message names, in its order."""
    for flag in _FLAG.findall(message):
        for key in KEYS.values():
            if key.flag is not None and flag in key.flag.split(", "):
                yield (key.name,)


def _shared(one: At, other: At) -> int:
    """Count the parts with which two keys both begin."""
    count = 0
    for here, there in zip(one, other, strict=False):
        if here != there:
            break
        count += 1
    return count
