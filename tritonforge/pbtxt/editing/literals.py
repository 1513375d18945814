"""What a person writes as a value, made text of a config."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from google.protobuf import text_format
from google.protobuf.message_factory import GetMessageClass

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.descriptors import is_message
from tritonforge.pbtxt.editing import schema, tree
from tritonforge.pbtxt.editing.tokens import lex
from tritonforge.pbtxt.editing.tree import Listing, Scalar

_QUOTES = ('"', "'")
_STRING = r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'"
_PART = re.compile(rf"\s*((?:{_STRING})(?:\s*(?:{_STRING}))*|[^,]*?)\s*(,|\Z)", re.DOTALL)


def one(value: str, field: Any, *, old: str | None = None, kept: Collection[str] = ()) -> str:
    """Return the text of one value of a field; raise `ConfigError` where the field takes it not.

    `old` is what stands there; `kept` are names of fields that the schema need not know.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigError("the value is not UTF-8") from error
    if field is None:
        return _of_unknown(value, old)
    if schema.is_string(field) and not value.startswith(_QUOTES):
        return schema.quote(value)
    try:
        node = tree.read_value(value)
    except ConfigError as error:
        if is_message(field) and value.lstrip().startswith(("{", "<")):
            raise
        raise schema.refusal(field, value) from error
    if isinstance(node, Listing):
        raise ConfigError(f"one value of {field.name} is wanted here, not a list")
    schema.fits(value, node, field, kept)
    return value[node.start : node.end]


def several(value: str, field: Any, *, kept: Collection[str] = ()) -> list[str]:
    """Return the texts of the values of a list, written `[4, 8]` or `4,8`."""
    if field is not None and schema.is_string(field):
        return [one(each, field) for each in _parts(value.strip(), field)]
    whole = value if value.lstrip().startswith("[") else f"[{value}\n]"
    node = tree.read_value(whole)
    if not isinstance(node, Listing):
        raise ConfigError("a list is wanted here", hint="write [4, 8] or 4,8")
    spans = [whole[each.start : each.end] for each in node.items]
    return [one(each, field, kept=kept) for each in spans]


def listed(texts: Sequence[str]) -> str:
    """Return the text of a list."""
    return f"[ {', '.join(texts)} ]" if texts else "[ ]"


def same(old: str, new: str, field: Any) -> bool:
    """Say whether two texts are one value of a field."""
    if old == new:
        return True
    if field is not None:
        read = [_message(field, each) for each in (old, new)]
        if None not in read:
            return bool(read[0] == read[1])
    return [each.text for each in lex(old, "")] == [each.text for each in lex(new, "")]


def _message(field: Any, text: str) -> bytes | None:
    """Return the bytes of a message that holds one value, None for a text that is none."""
    message = GetMessageClass(field.containing_type)()
    try:
        text_format.Parse(f"{field.name}: {text}", message)
    except text_format.ParseError:
        return None
    held: bytes = message.SerializeToString(deterministic=True)
    return held


def _of_unknown(value: str, old: str | None) -> str:
    """Take a value as it is; where a string stood, quotes are added."""
    held = tree.read_value(old) if old is not None else None
    was_string = isinstance(held, Scalar) and held.is_string
    if was_string and not value.startswith(_QUOTES):
        return schema.quote(value)
    node = tree.read_value(value)
    return value[node.start : node.end]


def _parts(value: str, field: Any) -> list[str]:
    """Part a list of strings at its commas, but for those between quotes."""
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if not inner.strip():
        return []
    found, at, mark = [], 0, ","
    while mark == ",":
        match = _PART.match(inner, at)
        if match is None:
            raise schema.refusal(field, inner[at:].strip())
        if not match[1]:
            raise ConfigError(f"{field.name}: an element is empty", hint='write "" for no text')
        found.append(match[1])
        mark, at = match[2], match.end()
    return found
