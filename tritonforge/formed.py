"""Whether what was read from elsewhere is of the types that a dataclass states, however deep."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def check(value: Any, kind: Any, at: str = "") -> None:
    """Raise `TypeError` for a value that is not of a type, which names its place in the whole."""
    if not _is_of(value, kind, at):
        raise TypeError(f"{at or 'it'} is {value!r:.60}")


def _is_of(value: Any, kind: Any, at: str) -> bool:
    origin, given = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return any(_is_whole(value, each, at) for each in given)
    if origin is tuple:
        return isinstance(value, tuple) and all(_is_whole(each, given[0], at) for each in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _is_whole(key, given[0], at) and _is_whole(each, given[1], at)
            for key, each in value.items()
        )
    if is_dataclass(kind) and type(value) is kind:
        held: Any = kind
        for name, hint in hints(held).items():
            check(getattr(value, name), hint, f"{at}.{name}" if at else name)
        return True
    return value in given if origin is Literal else _is_plain(value, kind)


def _is_whole(value: Any, kind: Any, at: str) -> bool:
    """Say whether a part is of a type; no exception, as another type may fit."""
    try:
        return _is_of(value, kind, at)
    except TypeError:
        return False


def _is_plain(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if kind in {None, NoneType}:
        return value is None
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if kind in {int, str, bool}:
        return type(value) is kind
    return isinstance(value, get_origin(kind) or kind)


@cache
def hints(kind: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields, by name."""
    found = get_type_hints(kind)
    return {each.name: found[each.name] for each in fields(kind)}
