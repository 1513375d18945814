"""Fields of `ModelConfig` as a person says them in TOML: under the message's own names.

What the proto's text form writes out is short here, where nothing is lost by it: a message that
holds one field is that field's value (`version_policy.latest = 2`), a message is `true` for
one with its defaults and `false` for none, and a list of one is its element. A table said of a list
changes the one entry that stands there; a list replaces what stands.
"""

import math
import re
import reprlib
import struct
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tritonforge.errors import SpecError, did_you_mean
from tritonforge.pbtxt.descriptors import bounds, is_map
from tritonforge.pbtxt.reading import ModelConfig
from tritonforge.pbtxt.wished.offered import WITHHELD, offered, sole

At = tuple[str | int, ...]

_WHOLE = re.compile("[0-9]{1,20}")
_BARE = re.compile(r"true|false|[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BARE_KINDS = ("true or false", "a number", "a whole number")
_BY_NAME = ("input", "output")  # said as a table of tensors, by name


def lay(message: Any, said: Mapping[str, Any]) -> None:
    """Lay what was said over a `ModelConfig`.

    Raises `SpecError`, whose `at` is the key, for a field that does not exist or is not offered,
    and a value that it cannot hold.
    """
    _fill(message, {key: value for key, value in said.items() if key not in _BY_NAME}, ())
    for kind in _BY_NAME:
        tensors = {entry.name: entry for entry in getattr(message, kind)}
        for name, wish in said.get(kind, {}).items():
            if name not in tensors:
                raise SpecError(
                    f"the model has no {kind} {name!r}",
                    hint=f"it has {', '.join(tensors) or 'none'}",
                    at=(f"{kind}s", name),
                )
            _fill(tensors[name], wish, (f"{kind}s", name))


def check(said: Mapping[str, Any]) -> None:
    """Raise `SpecError` as `lay` does, whatever tensors the model has."""
    message = ModelConfig()
    for kind in _BY_NAME:
        for name in said.get(kind, {}):
            getattr(message, kind).add(name=name)
    lay(message, said)


def rivals(at: At, name: str) -> frozenset[str]:
    """Name the fields that cannot stand beside a field, which is under the key `at`."""
    descriptor: Descriptor | None = ModelConfig.DESCRIPTOR
    for part in at:
        if descriptor is None:
            break
        field = descriptor.fields_by_name.get(str(part))
        if field is not None:
            descriptor = field.message_type
    field = descriptor.fields_by_name.get(name) if descriptor is not None else None
    choice = field.containing_oneof if field is not None else None
    return frozenset(each.name for each in choice.fields) - {name} if choice else frozenset()


def _fill(message: Message, said: Mapping[str, Any], at: At) -> None:
    """Set the fields of a message that were said."""
    chosen: dict[str, str] = {}
    for name, value in said.items():
        field = _field(message.DESCRIPTOR, name, at)
        choice = field.containing_oneof
        if choice is not None and value is not False:
            other = chosen.setdefault(choice.name, name)
            if other != name:
                raise SpecError(
                    f"{name} and {other} exclude each other", hint="leave one out", at=(*at, name)
                )
        _set(message, field, value, (*at, name))


def _field(descriptor: Descriptor, name: str, at: At) -> FieldDescriptor:
    """Find a field by its name."""
    field = descriptor.fields_by_name.get(name)
    if field is None:
        known = [each.name for each in offered(descriptor)]
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
        raise SpecError(f"{descriptor.name} has no field {name!r}", hint=hint, at=(*at, name))
    if field.full_name in WITHHELD:
        raise SpecError(
            f"{name} cannot be said: {WITHHELD[field.full_name]}",
            hint="leave it out",
            at=(*at, name),
        )
    return field


def _set(message: Message, field: FieldDescriptor, value: Any, at: At) -> None:
    """Set one field."""
    if is_map(field):
        _set_map(getattr(message, field.name), field, value, at)
    elif field.is_repeated:
        _set_list(getattr(message, field.name), field, value, at)
    elif field.message_type is None:
        setattr(message, field.name, _scalar(field, value, at))
    elif value is False and sole(field.message_type) is None:
        message.ClearField(field.name)
    else:
        _set_message(getattr(message, field.name), value, at)


def _set_message(message: Message, value: Any, at: At) -> None:
    """Set a message by its table, by `true`, or by the value of its one field."""
    message.SetInParent()
    only = sole(message.DESCRIPTOR)
    if isinstance(value, Mapping):
        _fill(message, value, at)
    elif only is not None:
        _set(message, only, value, at)
    elif value is not True:
        raise _wrong(f"a table of {message.DESCRIPTOR.name}", value, at)


def _set_list(standing: Any, field: FieldDescriptor, value: Any, at: At) -> None:
    """Replace a list, or change the one message in it."""
    if isinstance(value, Mapping) and len(standing) == 1:
        _set_message(standing[0], value, at)
        return
    del standing[:]
    for number, item in enumerate(value if isinstance(value, list | tuple) else [value]):
        place = (*at, number) if isinstance(value, list | tuple) else at
        if field.message_type is None:
            standing.append(_scalar(field, item, place))
        else:
            _set_message(standing.add(), item, place)


def _set_map(standing: Any, field: FieldDescriptor, value: Any, at: At) -> None:
    """Set entries of a map; the others stay."""
    if not isinstance(value, Mapping):
        raise _wrong("a table", value, at)
    keys, values = (field.message_type.fields_by_name[each] for each in ("key", "value"))
    for key, item in value.items():
        here = (*at, key)
        typed = key
        if keys.cpp_type != FieldDescriptor.CPPTYPE_STRING:
            typed = _scalar(keys, int(key) if _WHOLE.fullmatch(str(key)) else key, here)
        if values.message_type is not None:
            _set_message(standing[typed], item, here)
        else:
            standing[typed] = _text(item, here)


def _scalar(field: FieldDescriptor, value: Any, at: At) -> Any:
    """Return a value that a field can hold."""
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return _number(field, value, at)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return _text(value, at)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise _wrong("true or false", value, at)
        return value
    if kind in {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _held(kind, value):
            raise _wrong("a number", value, at)
        return value
    low, high = bounds(field)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(f"a whole number from {low} to {high}", value, at)
    return value


def _held(kind: int, value: float) -> bool:
    """Say whether a field of this kind holds a number, and not infinity in its place."""
    try:
        struct.pack("<f" if kind == FieldDescriptor.CPPTYPE_FLOAT else "<d", float(value))
    except OverflowError:
        return False
    return not math.isnan(value)


def _number(field: FieldDescriptor, value: Any, at: At) -> int:
    """Return the number of an enum's name."""
    names = field.enum_type.values_by_name
    if not isinstance(value, str) or value not in names:
        raise SpecError(
            f"it takes {', '.join(names)}, not {reprlib.repr(value)}",
            hint=did_you_mean(str(value), names),
            at=at,
        )
    return int(names[value].number)


def _text(value: Any, at: At) -> str:
    """Return a text; numbers and switches are written as the backend reads them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise _wrong("a text", value, at)
    return value


def _wrong(wanted: str, value: Any, at: At) -> SpecError:
    """Make the error of a value of another type."""
    is_bare = wanted.startswith(_BARE_KINDS) and isinstance(value, str) and _BARE.fullmatch(value)
    return SpecError(
        f"it takes {wanted}, not {reprlib.repr(value)}",
        hint="write it without quotes" if is_bare else None,
        at=at,
    )
