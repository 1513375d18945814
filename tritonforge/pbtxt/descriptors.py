"""What protobuf's descriptor says of a field of `ModelConfig`."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

_WHOLE = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}


def is_message(field: Any) -> bool:
    """Say whether a field holds messages."""
    return bool(field.type == FieldDescriptor.TYPE_MESSAGE)


def is_map(field: Any) -> bool:
    """Say whether a field is a map, whose text is a repeated message of `key` and `value`."""
    return is_message(field) and bool(field.message_type.GetOptions().map_entry)


def is_whole(field: Any) -> bool:
    """Say whether a field holds whole numbers."""
    return field.type in _WHOLE


def bounds(field: Any) -> tuple[int, int]:
    """Return the least and the largest number that a field of whole numbers holds."""
    return _WHOLE[field.type]
