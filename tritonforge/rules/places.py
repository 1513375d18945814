"""How the places of a config are written, its values named, and near misses found."""

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
from itertools import islice
from typing import Any

from tritonforge.pbtxt.editing import schema
from tritonforge.pbtxt.editing.paths import Key
from tritonforge.rules.rule import Change

_NEAR = 0.7
_MOST_NAMES, _LONGEST, _MOST_DIMS = 200, 200, 12
_PLAIN, _APART = 0.9, 0.04
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def keyed(field: str, key: object) -> str:
    """Return the place of a map's entry: `parameters.key`, quoted where a path needs it."""
    text = str(key)
    return f"{field}.{text}" if _WORD.fullmatch(text) else f"{field}{Key(text=text)}"


def value_of(entry: Any, field: str) -> str:
    """Return the name of an enum's value, the number where the schema has no name for it."""
    number = getattr(entry, field)
    named = entry.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return str(named.name if named else number)


def shown(dims: Sequence[int]) -> str:
    """Write dimensions as a list, of a long one its beginning."""
    listed = ", ".join(map(str, dims[:_MOST_DIMS]))
    return f"[{listed}, ...]" if len(dims) > _MOST_DIMS else f"[{listed}]"


def several(count: int, what: str, more: str = "") -> str:
    """Count things: `1 class`, `2 classes` where `more` is `classes`, else with an s behind."""
    return f"{count} {what if count == 1 else more or what + 's'}"


def near(name: str, known: Iterable[str]) -> str:
    """Ask whether a known name is meant, in words that end a sentence; nothing for none.

    It looks at so many names that a config without measure costs little.
    """
    names = islice((each for each in known if len(each) <= _LONGEST), _MOST_NAMES)
    found = get_close_matches(name[:_LONGEST], names, n=1, cutoff=_NEAR)
    return f"; did you mean {found[0]!r}?" if found else ""


def renamed(
    field: str,
    name: str,
    text: str,
    known: Iterable[str],
    given: Collection[str],
    like: str | None = None,
) -> tuple[Change, ...]:
    """Give what a map's key holds to the one that is plainly meant, unless that is there.

    `like` is another name for what the key says.
    """
    meant = plain(like or name, known, given)
    return () if meant is None else moved(keyed(field, name), keyed(field, meant), text)


def plain(name: str, known: Iterable[str], given: Collection[str]) -> str | None:
    """Return the one known name that is plainly meant, None for none or one that is given, too.

    It is very near, however large its letters, and nothing else nearly as much.
    """
    if len(name) > _LONGEST:
        return None
    small = name.lower()
    alike = sorted((SequenceMatcher(None, small, each.lower()).ratio(), each) for each in known)
    rest, best = (alike[-2][0] if len(alike) > 1 else 0.0), (alike[-1] if alike else (0.0, ""))
    if best[0] < _PLAIN or best[0] - rest < _APART or best[1] in given:
        return None
    return best[1]


def moved(old: str, new: str, text: str) -> tuple[Change, ...]:
    """Write a text at another place."""
    return (Change(path=new, value=schema.quote(text)), Change(path=old, value=None))
