"""JSON Schema of the fields of `ModelConfig` that can be said, as `wished` reads them."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tritonforge.pbtxt.descriptors import bounds, is_map
from tritonforge.pbtxt.reading import ModelConfig
from tritonforge.pbtxt.wished.offered import offered, sole

_TEXT: Mapping[str, Any] = {"type": ["string", "number", "boolean"]}


def fields(kind: str | None = None) -> dict[str, Any]:
    """Return the schema of each field of `ModelConfig`, or of one of its `input` or `output`."""
    descriptor = ModelConfig.DESCRIPTOR
    if kind is not None:
        descriptor = descriptor.fields_by_name[kind].message_type
    tensors = {"input", "output"} if kind is None else set()
    return {field.name: _field(field) for field in offered(descriptor) if field.name not in tensors}


def _field(field: FieldDescriptor) -> dict[str, Any]:
    """Describe a field."""
    if is_map(field):
        value = field.message_type.fields_by_name["value"]
        return {"type": "object", "additionalProperties": _value(value)}
    one = _value(field)
    if field.is_repeated:
        return {"anyOf": [{"type": "array", "items": one}, one]}
    return one


def _value(field: FieldDescriptor) -> dict[str, Any]:
    """Describe one value of a field."""
    if field.message_type is not None:
        return _message(field.message_type)
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return {"enum": list(field.enum_type.values_by_name)}
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return dict(_TEXT)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return {"type": "boolean"}
    if kind in {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}:
        return {"type": "number"}
    low, high = bounds(field)
    return {"type": "integer", "minimum": low, "maximum": high}


def _message(descriptor: Descriptor) -> dict[str, Any]:
    """Describe a message: its table, a switch, or the value of its one field."""
    table = {
        "type": "object",
        "properties": {field.name: _field(field) for field in offered(descriptor)},
        "additionalProperties": False,
    }
    only = sole(descriptor)
    return {"anyOf": [table, {"type": "boolean"} if only is None else _field(only)]}
