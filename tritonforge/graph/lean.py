"""An `.onnx` file read without its weights: memory depends on the graph, not on the file.

The file is mapped and walked by protobuf's wire format
(https://protobuf.dev/programming-guides/encoding); the values of large tensors are stepped over, so
their pages are never read.
"""

import mmap
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

from onnx import ModelProto

from tritonforge import presence
from tritonforge.errors import GraphError
from tritonforge.graph.file import holding_a_graph, unsound
from tritonforge.graph.schemas import every_graph

_MOST_FIELDS = 2_000_000  # that are looked at: no graph has as many nodes and weights
LARGE = 1024  # bytes: values that no shape is read from
_POINTER = b"version https://git-lfs"
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types
# By message: its fields that are messages in which tensors may lie. Source: onnx.proto.
_INTO: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_VALUES = {4, 5, 7, 9, 10, 11}  # of a tensor: all but the texts, whose sizes only they tell


class _DamagedError(Exception):
    """Bytes that are no protobuf message."""


def read(path: Path) -> ModelProto:
    """Read a file; large tensors have no values. Raises `GraphError` with what is wrong with it."""
    _is_there(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            held.madvise(mmap.MADV_RANDOM)  # read nothing ahead
            model = _parsed(held, path)
    except OSError as error:
        raise GraphError(f"cannot read {path}: {error.strerror}", hint="check the file") from error
    except (GraphError, MemoryError):
        raise
    except Exception as error:  # also google.protobuf's DecodeError, and messages nested too deep
        raise unsound(path, error) from error
    return holding_a_graph(model, path)


def _parsed(held: mmap.mmap, path: Path) -> ModelProto:
    """Parse a mapped file without the values of large tensors."""
    if held[: len(_POINTER)] == _POINTER:
        raise GraphError(
            f"{path} is a pointer of Git LFS, not the model", hint="run `git lfs pull`"
        )
    with memoryview(held) as data:
        thin = _thinned(data, 0, len(data), "model", count(1))
        model = ModelProto()
        model.ParseFromString(bytes(data) if thin is None else thin)
        _legible(model)
        return model


def _legible(model: ModelProto) -> None:
    """Take names out that are no UTF-8 and that nothing refers to: ONNX Runtime minds none."""
    for graph in every_graph(model.graph):
        for each in (graph, *graph.node):
            if not isinstance(each.name, str):
                each.ClearField("name")


def _is_there(path: Path) -> None:
    """Raise `GraphError` for what is no file, or an empty one."""
    if (fault := presence.no_file(path)) is not None:
        raise GraphError(fault[0], hint=fault[1])
    if not path.stat().st_size:
        raise GraphError(f"{path} is empty", hint="export or download it again")


def _thinned(
    data: memoryview, start: int, end: int, kind: str, counter: Iterator[int]
) -> bytes | None:
    """Return a message without the values of large tensors in it, None where it has none.

    `counter` counts the fields, so that a file of nothing else is given up.
    """
    into = _INTO.get(kind, {})
    parts: list[bytes | memoryview] = []
    kept = at = start
    while at < end:
        begin = at
        if next(counter) > _MOST_FIELDS:
            raise _DamagedError(f"it has more than {_MOST_FIELDS:,} fields, as no model has")
        tag, at = _varint(data, at, end)
        field, body, at = tag >> 3, *_field(data, at, end, tag & 7)
        if at - body <= LARGE or tag & 7 != _BYTES:
            continue
        if kind == "tensor" and field in _VALUES:
            parts.append(data[kept:begin])
        elif (
            field in into and (inner := _thinned(data, body, at, into[field], counter)) is not None
        ):
            parts += [data[kept:begin], _written(tag), _written(len(inner)), inner]
        else:
            continue
        kept = at
    return b"".join([*parts, data[kept:end]]) if parts else None


def _field(data: memoryview, at: int, end: int, wire: int) -> tuple[int, int]:
    """Return where a field's content begins and ends."""
    size = {_EIGHT: 8, _FOUR: 4}.get(wire, 0)
    if wire == _BYTES:
        size, at = _varint(data, at, end)
    elif wire == _VARINT:
        at = _varint(data, at, end)[1]
    elif not size:
        raise _DamagedError(f"byte {at} begins no field")
    if at + size > end:
        raise _DamagedError(f"at least {at + size - end} bytes of it are missing")
    return at, at + size


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; return it and where it ends."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _DamagedError(f"it breaks off at byte {at}")


def _written(value: int) -> bytes:
    """Write a number of seven bits a byte."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
