"""Dataclasses of plain types as JSON, and back: between processes, and on disk."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from tritonforge import formed
from tritonforge.tensors import DType

T = TypeVar("T")


def as_json(value: Any) -> bytes:
    """Write a dataclass of plain types, mappings, tuples and such dataclasses."""
    return json.dumps(asdict(value), default=_encoded).encode()


def from_json(kind: type[T], text: bytes) -> T:
    """Read a dataclass of a kind; what is none raises as `json.loads`, `KeyError`, `TypeError`."""
    found: T = _decoded(kind, json.loads(text))
    return found


def _encoded(value: Any) -> str:
    """Write what JSON does not know."""
    if isinstance(value, DType):
        return value.name
    raise TypeError(f"cannot keep {type(value).__name__}")


def _decoded(kind: Any, value: Any) -> Any:
    """Read a value of a type; raises `TypeError` or `ValueError` for one of another."""
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        chosen = NoneType if value is None else _one_of(get_args(kind), value)
        return _decoded(chosen, value)
    if origin is tuple:
        return tuple(_decoded(get_args(kind)[0], each) for each in _a(list, value))
    if origin is Mapping:
        return {key: _decoded(get_args(kind)[1], each) for key, each in _a(dict, value).items()}
    if is_dataclass(kind):
        made: Any = kind
        if _a(dict, value).keys() != (hints := formed.hints(made)).keys():
            raise ValueError(f"other fields than those of {kind}")
        return made(**{name: _decoded(hint, value[name]) for name, hint in hints.items()})
    return DType[_a(str, value)] if kind is DType else _a(kind, value)


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    """Choose among the types of a union, which differ as JSON."""
    plain = [each for each in kinds if type(value) is each]
    return plain[0] if plain else next(each for each in kinds if each not in {NoneType, int, str})


def _a(kind: Any, value: Any) -> Any:
    """Return a value of just that type."""
    if type(value) is not kind:
        raise TypeError(f"{type(value)}, not {kind}")
    return value
