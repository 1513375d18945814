"""A config's text as plain data: what a program reads, and what two configs are compared by.

Messages and maps become dicts, enums their names. What the schema does not know is told by its text
as written, so that it is there too and two spellings of it differ.
"""

from collections.abc import Sequence
from typing import Any

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.descriptors import is_map, is_message
from tritonforge.pbtxt.editing import schema
from tritonforge.pbtxt.editing.places import fields_of, key_of
from tritonforge.pbtxt.editing.tokens import lex
from tritonforge.pbtxt.editing.tree import Field, Listing, Message, Scalar, Value
from tritonforge.pbtxt.reading import ModelConfig


def plain(text: str, body: Message, *, is_sparse: bool = False) -> dict[str, Any]:
    """Return a whole config; a sparse one lacks what says no more than the default."""
    return _message(text, body, ModelConfig.DESCRIPTOR, is_sparse=is_sparse)


def plain_field(text: str, fields: Sequence[Field], field: Any, *, is_sparse: bool = False) -> Any:
    """Return what the fields of one name in a message hold together."""
    values = [value for each in fields for value in each.values]
    if field is None:
        is_list = len(values) != 1 or isinstance(fields[-1].value, Listing)
        found = [_as_written(text, each) for each in values]
        return found if is_list else found[0]
    if is_map(field):
        return _map(text, values, field, is_sparse=is_sparse)
    read = [plain_value(text, each, field, is_sparse=is_sparse) for each in values]
    return read if field.is_repeated else read[-1]


def plain_value(text: str, value: Value, field: Any, *, is_sparse: bool = False) -> Any:
    """Return one value of a field."""
    if field is None or isinstance(value, Listing):
        return _as_written(text, value)
    if isinstance(value, Message):
        return _message(text, value, field.message_type, is_sparse=is_sparse)
    return _scalar(value, field)


def _message(text: str, body: Message, descriptor: Any, *, is_sparse: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in dict.fromkeys(each.name for each in body.fields):
        field = None if descriptor is None else descriptor.fields_by_name.get(name)
        held = plain_field(text, fields_of(body, name), field, is_sparse=is_sparse)
        if not (is_sparse and field is not None and _is_default(held, field)):
            found[name] = held
    return found


def _map(text: str, entries: Sequence[Value], field: Any, *, is_sparse: bool) -> dict[str, Any]:
    """Return a map by its keys as text; of two entries with one key the last counts."""
    value = field.message_type.fields_by_name["value"]
    found: dict[str, Any] = {}
    for each in entries:
        held = fields_of(each, "value") if isinstance(each, Message) else ()
        empty: Any = {} if is_message(value) else value.default_value
        key = str(key_of(each, field))
        found[key] = plain_field(text, held, value, is_sparse=is_sparse) if held else empty
        others = [one for one in _others(each) if one.name not in {"key", "value"}]
        if others:  # a newer schema's, beside the two
            found[key] = {"value": found[key]} | {
                one.name: plain_field(text, (one,), None) for one in others
            }
    return found


def _others(entry: Value) -> tuple[Field, ...]:
    return entry.fields if isinstance(entry, Message) else ()


def _scalar(value: Scalar, field: Any) -> Any:
    """Return a scalar as Python holds it, an enum by its name where it has one."""
    if value.is_string:
        return schema.string(value)
    written = schema.written(value)
    try:
        read = schema.scalar(field, written)
    except ConfigError:  # protobuf's reader for Python takes more than Triton's
        return written
    if field.enum_type is None:
        return read
    known = field.enum_type.values_by_number.get(read)
    return read if known is None else known.name


def _is_default(held: Any, field: Any) -> bool:
    """Say whether a message is the same without this."""
    if field.is_repeated:
        return not held
    if field.has_presence:
        return False
    default = field.default_value
    if field.enum_type is not None:
        default = field.enum_type.values_by_number[default].name
    return repr(held) == repr(default)


def _as_written(text: str, value: Value) -> str:
    """Return a value's words without comments, parted alike however it was written."""
    words = ""
    for token in lex(text[value.start : value.end], ""):
        words += token.text if token.text in {":", ",", ";"} else f" {token.text}"
    return words.removeprefix(" ")
