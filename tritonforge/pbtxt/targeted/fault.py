"""What is wrong of a config for a release, and how its places are written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

Severity = Literal["error", "ignored"]
_NAMES = ("name", "model_name", "input_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something of a config that a release refuses or passes over.

    `path` is where it stands, such as `input[x].dims`: entries bear their name, or their number
    where names do not tell them apart. An `error` keeps the model from being loaded or called;
    what is `ignored` nobody heeds. One that `is_lone` is of its value alone, whatever else is set.
    """

    path: str
    said: str
    severity: Severity
    is_lone: bool = False


def error(path: str, said: str, *, is_lone: bool = False) -> Fault:
    """Make a fault that keeps the model from being loaded or called."""
    return Fault(path=path, said=said, severity="error", is_lone=is_lone)


def ignored(path: str, said: str) -> Fault:
    """Make a fault that changes nothing of how the model is served."""
    return Fault(path=path, said=said, severity="ignored")


def near(name: str, known: Iterable[str]) -> str:
    """Ask whether a known name is meant, in words that end a sentence; nothing for none."""
    found = get_close_matches(name, [*known], n=1, cutoff=0.7)
    return f"; did you mean {found[0]!r}?" if found else ""


def told_apart(field: str, entries: Any) -> Iterator[tuple[str, Any]]:
    """Yield each entry of a repeated field with its place: `input[x]`, else `input[0]`."""
    names = [_name(each) for each in entries]
    for number, (name, each) in enumerate(zip(names, entries, strict=True)):
        alone = name and names.count(name) == 1
        yield f"{field}[{name if alone else number}]", each


def value_of(entry: Any, field: str) -> str:
    """Return the name of an enum's value, the number where the schema has no name for it."""
    number = getattr(entry, field)
    named = entry.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return str(named.name if named else number)


def _name(entry: Any) -> str:
    """Return what an entry is known by; nothing where it bears no name."""
    fields = entry.DESCRIPTOR.fields_by_name
    return next((getattr(entry, name) for name in _NAMES if name in fields), "")
