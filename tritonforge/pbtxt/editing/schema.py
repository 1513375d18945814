"""What the schema says of a field, and whether a value that was written fits it.

The schema is tritonclient's descriptor of `ModelConfig`. A value is held against what Triton's own
reader takes, which is stricter than protobuf's for Python: no `1_000`, no `0b1`, no unknown escape.
"""

import re
from collections.abc import Collection
from typing import Any

from google.protobuf import text_encoding, text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from tritonforge.errors import ConfigError, did_you_mean
from tritonforge.pbtxt.descriptors import bounds, is_message, is_whole
from tritonforge.pbtxt.editing import tree
from tritonforge.pbtxt.strict import literals

_F = FieldDescriptor
_STRINGS = frozenset({_F.TYPE_STRING, _F.TYPE_BYTES})
_FLOATS = frozenset({_F.TYPE_FLOAT, _F.TYPE_DOUBLE})
_WHOLE_TEXT = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]{0,19})")
_FLOAT_TEXT = re.compile(
    r"-?(?:(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?"
    r"|(?i:inf|infinity|nan))"
)
_BOOLEANS = ("true", "false", "True", "False", "t", "f", "1", "0")
_ESCAPE = re.compile(  # Triton also takes \?, of which protobuf's reader for Python makes two signs
    r"\\(?:[abfnrtv\\'\"]|[0-7]{1,3}|x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)"
    r"[0-9a-fA-F]{4})"
)


def is_string(field: Any) -> bool:
    """Say whether a field holds strings."""
    return field.type in _STRINGS


def lone_scalar(field: Any) -> Any | None:
    """Return the one field of a message that has only that, a scalar; else None."""
    if not is_message(field) or len(field.message_type.fields) != 1:
        return None
    only = field.message_type.fields[0]
    return None if only.is_repeated or is_message(only) else only


def unknown(name: str, descriptor: Any) -> ConfigError:
    """Return the error of a field that the schema has not."""
    names = [field.name for field in descriptor.fields]
    hint = did_you_mean(name, names) or (
        f"it has {', '.join(names)}" if names else "it has no fields"
    )
    return ConfigError(f"{descriptor.name} has no field {name!r}", hint=hint)


def quote(text: str) -> str:
    """Write a string literal."""
    return f'"{text_encoding.CEscape(text, as_utf8=True)}"'


def string(node: tree.Scalar) -> str:
    """Return what a string literal says, without regard to what it is of."""
    parts = (literals.unescape(token.text[1:-1].encode()) for token in node.tokens)
    return b"".join(parts).decode("utf-8", "replace")


def scalar(field: Any, text: str) -> Any:
    """Return the value that a text gives a scalar field; raise `ConfigError` where it is none."""
    plain = text.replace(" ", "") if text.startswith("-") else text
    if not _is_of(field, plain):
        raise refusal(field, text)
    message = GetMessageClass(field.containing_type)()
    try:
        text_format.Parse(f"{field.name}: {plain}", message)
    except text_format.ParseError as error:
        raise refusal(field, text) from error
    held = getattr(message, field.name)
    return held[0] if field.is_repeated else held


def fits(text: str, node: tree.Value, field: Any, kept: Collection[str]) -> None:
    """Raise `ConfigError` unless a value fits a field; names in `kept` need not be known."""
    if isinstance(node, tree.Listing):
        if not field.is_repeated:
            raise ConfigError(f"{field.name} takes one value, not a list")
        for each in node.items:
            fits(text, each, field, kept)
    elif is_message(field):
        if not isinstance(node, tree.Message):
            raise refusal(field, text[node.start : node.end])
        _fields_fit(text, node, field.message_type, kept)
    elif isinstance(node, tree.Message):
        raise refusal(field, text[node.start : node.end])
    else:
        scalar(field, written(node))


def written(node: tree.Scalar) -> str:
    """Return a scalar as it is written, without comments and line ends between its words."""
    return " ".join(token.text for token in node.tokens)


def _fields_fit(text: str, node: tree.Message, descriptor: Any, kept: Collection[str]) -> None:
    """Check the fields of a message, and that no two exclude each other."""
    chosen: dict[str, str] = {}
    for each in node.fields:
        field = descriptor.fields_by_name.get(each.name)
        if field is None:
            if each.name not in kept:
                raise unknown(each.name, descriptor)
            continue
        fits(text, each.value, field, kept)
        if not field.is_repeated and sum(one.name == each.name for one in node.fields) > 1:
            raise ConfigError(f"{each.name} takes one value and is given twice")
        if field.containing_oneof is not None:
            other = chosen.setdefault(field.containing_oneof.name, each.name)
            if other != each.name:
                raise ConfigError(f"{other} and {each.name} exclude each other")


def _is_of(field: Any, text: str) -> bool:
    """Say whether a text is written as Triton reads that kind of scalar."""
    if is_whole(field):
        low, high = bounds(field)
        return _WHOLE_TEXT.fullmatch(text) is not None and low <= _number(text) <= high
    if field.type in _FLOATS:
        return _FLOAT_TEXT.fullmatch(text) is not None
    if field.type == _F.TYPE_BOOL:
        return text in _BOOLEANS
    if field.type == _F.TYPE_ENUM:
        is_number = _WHOLE_TEXT.fullmatch(text) is not None
        return text in field.enum_type.values_by_name or (
            is_number and -(2**31) <= _number(text) < 2**31
        )
    return text[:1] in {'"', "'"} and "\\" not in _ESCAPE.sub("", text)


def _number(text: str) -> int:
    """Read a whole number: hexadecimal behind 0x, octal behind 0."""
    digits = text.lstrip("-")
    base = 16 if digits[:2] in {"0x", "0X"} else 8 if digits.startswith("0") else 10
    return int(digits, base) * (-1 if text.startswith("-") else 1)


def refusal(field: Any, text: str) -> ConfigError:
    """Return the error of a value that a field does not take."""
    if is_whole(field):
        low, high = bounds(field)
        wanted = f"a whole number from {low} to {high}"
    elif field.type in _FLOATS:
        wanted = "a number"
    elif field.type == _F.TYPE_BOOL:
        wanted = "true or false"
    elif field.type == _F.TYPE_ENUM:
        names = field.enum_type.values_by_name
        hint = did_you_mean(text, names) or f"it takes {', '.join(names)}"
        return ConfigError(f"{field.name} has no value {text!r}", hint=hint)
    elif is_message(field):
        names = ", ".join(each.name for each in field.message_type.fields)
        wanted = f"a message between braces, with any of: {names}" if names else "{ }"
    else:
        wanted = "a string: quoted whole, with Triton's escapes, or not quoted at all"
    return ConfigError(f"{field.name} takes {wanted}; not {text!r}")
