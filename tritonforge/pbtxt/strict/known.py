"""What the Triton of a release knows of a config's messages: their fields and their enums' values.

The schema is that of the newest tritonclient that was read; what came later than the release, or
than the schema that is installed, is told apart by `data/config_fields.json`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from tritonforge.pbtxt.descriptors import is_map
from tritonforge.pbtxt.reading import ModelConfig
from tritonforge.release import images

_KINDS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_MESSAGE: "message",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_FLOAT: "real",
    FieldDescriptor.TYPE_DOUBLE: "real",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A field as a release has it.

    `kind` is None where the schema that is installed does not have it. `since` is the Triton that
    brought it, None where the release has it.
    """

    name: str
    kind: str | None
    since: str | None
    is_repeated: bool = False
    is_map: bool = False
    has_presence: bool = False
    default: Any = None
    choice: str | None = None
    message: Any = None
    values: Mapping[str, int] | None = None
    enum: str | None = None


@cache
def fields(descriptor: Any, triton: str | None) -> Mapping[str, Known]:
    """Return the fields of a message that any known Triton has, as that of a release has them."""
    known = {each.name: _known(each, descriptor, triton) for each in descriptor.fields}
    for name in sorted(named(descriptor.full_name)):
        if name not in known:
            since = late(descriptor.full_name, name, triton)
            known[name] = Known(name=name, kind=None, since=since)
    return known


def _known(field: Any, descriptor: Any, triton: str | None) -> Known:
    """Take down a field of the schema that is installed; a map's entries always have theirs."""
    entry = descriptor.GetOptions().map_entry
    enum = field.enum_type
    return Known(
        name=field.name,
        kind=_KINDS[field.type],
        since=None if entry else late(descriptor.full_name, field.name, triton),
        is_repeated=field.is_repeated,
        is_map=is_map(field),
        has_presence=field.has_presence or entry,
        default=None if field.is_repeated else field.default_value,
        choice=field.containing_oneof.name if field.containing_oneof else None,
        message=field.message_type,
        values={each.name: each.number for each in enum.values} if enum else None,
        enum=enum.full_name if enum else None,
    )


@cache
def late(scope: str, name: str, triton: str | None) -> str | None:
    """Return the Triton that brought a field or a value after another; None if that has it.

    Of an unknown Triton everything is thought to be known; what no known one has is not asked for.
    """
    since = _table()["fields"].get(scope, {}).get(name)
    if since is None or triton is None or _numbers(since) <= _numbers(triton):
        return None
    return str(since)


def came(since: str) -> str:
    """Say with which Triton, and which release, something came."""
    tags = [each.tag for each in images() if each.triton == since]
    return f"came with Triton {since}" + (f" of {tags[0]}" if tags else "")


@cache
def named(scope: str) -> frozenset[str]:
    """Return the fields of a message, or the values of an enum, that any known Triton has."""
    return frozenset(_table()["fields"].get(scope, {}))


def owner(descriptor: Any) -> str:
    """Name a message by the field that holds it."""
    path = _messages()[descriptor.full_name]
    return path.rpartition(".")[2] or "a config"


def owners(name: str) -> tuple[str, ...]:
    """Return the fields of a config whose messages have a field of that name."""
    return tuple(path for full_name, path in _messages().items() if name in named(full_name))


@cache
def _messages() -> Mapping[str, str]:
    """Return the messages in a config, each with the shortest way to it."""
    found: dict[str, str] = {}
    waiting = [("", ModelConfig.DESCRIPTOR)]
    while waiting:
        path, descriptor = waiting.pop(0)
        if descriptor.full_name in found:
            continue
        found[descriptor.full_name] = path
        is_entry = descriptor.GetOptions().map_entry
        waiting += [
            (path if is_entry else f"{path}.{each.name}".removeprefix("."), each.message_type)
            for each in descriptor.fields
            if each.message_type is not None
        ]
    return found


def _numbers(version: str) -> tuple[int, ...]:
    """Turn `2.51.0` into numbers."""
    return tuple(int(part) for part in version.split("."))


@cache
def _table() -> Any:
    """Read the data file once."""
    return json.loads(files("tritonforge").joinpath("data/config_fields.json").read_text("utf-8"))
