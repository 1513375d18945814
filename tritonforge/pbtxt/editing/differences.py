"""What two configs say differently, field by field, fields that the schema does not know too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tritonforge.pbtxt.editing import paths, tree
from tritonforge.pbtxt.editing.paths import Index, Key, Name, Step
from tritonforge.pbtxt.editing.plain import plain
from tritonforge.pbtxt.editing.unknowns import parse_known


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A path and what each of two configs holds there, as plain data; None where it is not set."""

    path: str
    a: Any
    b: Any


def differences(
    a: str, b: str, a_file: Path | str = "config.pbtxt", b_file: Path | str = "config.pbtxt"
) -> tuple[Difference, ...]:
    """Compare two texts by what they say; raise `ConfigError` for one that cannot be read.

    Elements with names are compared by name, others by their place.
    """
    return tuple(_of_dicts(_read(a, a_file), _read(b, b_file), ()))


@lru_cache(maxsize=2)  # one text is compared with what becomes of it in many ways
def _read(text: str, file: Path | str) -> dict[str, Any]:
    parse_known(text, file)
    return plain(text, tree.read(text, file), is_sparse=True)


def _of_dicts(a: dict[str, Any], b: dict[str, Any], at: tuple[Step, ...]) -> Iterator[Difference]:
    """Compare two messages or maps."""
    for name in dict.fromkeys((*a, *b)):
        yield from _of(a.get(name), b.get(name), (*at, _step(name, at)))


def _of(a: Any, b: Any, at: tuple[Step, ...]) -> Iterator[Difference]:
    """Compare two values, as deep as both have the same form."""
    if isinstance(a, dict) and isinstance(b, dict):
        yield from _of_dicts(a, b, at)
    elif _are_messages(a) and _are_messages(b):
        yield from _of_lists(a, b, at)
    elif repr(a) != repr(b):  # which tells apart -0.0 and 0.0, and not two NaN
        yield Difference(path=paths.write(at), a=a, b=b)


def _of_lists(a: Sequence[Any], b: Sequence[Any], at: tuple[Step, ...]) -> Iterator[Difference]:
    """Compare messages in their order, or by their names where all have one of their own."""
    names_a, names_b = _names(a), _names(b)
    if names_a is None or names_b is None:
        for index in range(max(len(a), len(b))):
            one, other = (each[index] if index < len(each) else None for each in (a, b))
            yield from _of(one, other, (*at, Index(number=index)))
        return
    both = set(names_a) & set(names_b)
    order_a, order_b = ([one for one in each if one in both] for each in (names_a, names_b))
    if order_a != order_b:
        yield Difference(path=paths.write(at), a=names_a, b=names_b)
    by_a, by_b = dict(zip(names_a, a, strict=True)), dict(zip(names_b, b, strict=True))
    for name in by_a | by_b:
        yield from _of(by_a.get(name), by_b.get(name), (*at, Key(text=name)))


def _are_messages(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _names(messages: Sequence[dict[str, Any]]) -> list[str] | None:
    """Return the names of messages, None unless each has one of its own."""
    names = [each.get("name") for each in messages]
    said = [each for each in names if isinstance(each, str) and each]
    return said if len(set(said)) == len(names) else None


def _step(name: str, at: tuple[Step, ...]) -> Step:
    """Return the step to a field, or to the key of a map, which may need quotes."""
    return Name(text=name) if not at or paths.is_name(name) else Key(text=name)
