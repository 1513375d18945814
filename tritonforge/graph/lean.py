"""An `.onnx` file read without its weights: memory depends on the graph, not on the file.

The file is mapped and walked by protobuf's wire format
(https://protobuf.dev/programming-guides/encoding); the values of large tensors are stepped over, so
their pages are never read.
"""

import mmap
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

from onnx import ModelProto, StringStringEntryProto, TensorProto

from tritonforge import presence
from tritonforge.errors import GraphError
from tritonforge.graph import bounds
from tritonforge.graph.bounds import DamagedError
from tritonforge.graph.file import holding_a_graph, unsound
from tritonforge.graph.schemas import every_graph

_BEGINNING = 64  # bytes that tell what a file is
LARGE = 1024  # bytes: values that no shape is read from
_BYTES = 2  # the wire type of texts, messages and packed numbers
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
_RAW = 9  # of those the one whose elements take what their type takes
# What is written in place of values, beside their bytes, under a key that says nothing to others.
_LEFT_OUT, _LEFT_OUT_RAW = "values left out", "raw values left out"
_DIGITS = 20  # of a number beyond 64 bits


def read(path: Path) -> ModelProto:
    """Read a file; large tensors have no values. Raises `GraphError` with what is wrong with it."""
    return parsed(thin(path), path)


def thin(path: Path) -> bytes:
    """Return a file's bytes but for the values of large tensors; raises `GraphError`."""
    try:
        _is_there(path)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            held.madvise(mmap.MADV_RANDOM)  # read nothing ahead
            _check_kind(path, held[:_BEGINNING])
            with memoryview(held) as data:
                found = _thinned(data, 0, len(data), "model", count(1))
                kept = bytes(data) if found is None else found
                bounds.check_parts(kept)
                return kept
    except OSError as error:
        raise GraphError(f"cannot read {path}: {error.strerror}", hint="check the file") from error
    except DamagedError as error:
        raise unsound(path, error) from error


def left_out(tensor: TensorProto) -> tuple[bool, int | None]:
    """Say whether values of a tensor were left out, and how many bytes of them lay there raw."""
    said = {each.key: each.value for each in tensor.external_data}
    raw = said.get(_LEFT_OUT_RAW, "")
    known = raw.isdecimal() and len(raw) < _DIGITS  # else it was written by another
    return _LEFT_OUT in said or _LEFT_OUT_RAW in said, int(raw) if known else None


def parsed(data: bytes, path: Path) -> ModelProto:
    """Parse what was read of a file; raises `GraphError`."""
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # google.protobuf's DecodeError, also of messages nested too deep
        raise unsound(path, error) from error
    bounds.check_model(model, path)
    _legible(model)
    return holding_a_graph(model, path)


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


def _check_kind(path: Path, begins: bytes) -> None:
    """Raise `GraphError` for what often lies in the place of a model."""
    if begins.startswith(presence.POINTER):
        raise GraphError(
            f"{path} is a pointer of Git LFS, not the model", hint="run `git lfs pull`"
        )
    if presence.PAGE.match(begins):
        raise GraphError(
            f"{path} is a page of HTML or XML, not the model",
            hint="download it again; what answered was perhaps a page of an error",
        )


def _thinned(
    data: memoryview, start: int, end: int, kind: str, counter: Iterator[int], depth: int = 0
) -> bytes | None:
    """Return a message without the values of large tensors in it, None where it has none.

    `counter` counts the fields, so that a file of nothing else is given up; numbers that follow
    each other are one, as a forest of trees has millions of them.
    """
    if depth > bounds.DEEPEST:
        raise DamagedError(f"its messages lie more than {bounds.DEEPEST} deep in each other")
    into = _INTO.get(kind, {})
    parts: list[bytes] = []  # no views: the map cannot be closed while one is left
    kept = at = start
    while at < end:
        begin = at
        bounds.counted(counter)
        if kind == "attribute" and (run := bounds.NUMBERS.match(data, at, end)) is not None:
            at = run.end()
            continue
        tag, body, at = bounds.field(data, at, end)
        field = tag >> 3
        if at - body <= LARGE or tag & 7 != _BYTES:
            continue
        if kind == "tensor" and field in _VALUES:
            parts += [bytes(data[kept:begin]), _mark(field, at - body)]
        elif field in into:
            inner = _thinned(data, body, at, into[field], counter, depth + 1)
            if inner is None:
                continue
            parts += [bytes(data[kept:begin]), _written(tag), _written(len(inner)), inner]
        else:
            continue
        kept = at
    return b"".join([*parts, data[kept:end]]) if parts else None


def _mark(field: int, size: int) -> bytes:
    """Write for a tensor that so many bytes of a field were left out of it."""
    key = _LEFT_OUT_RAW if field == _RAW else _LEFT_OUT
    entry = StringStringEntryProto(key=key, value=str(size))
    return bytes(TensorProto(external_data=[entry]).SerializeToString())


def _written(value: int) -> bytes:
    """Write a number of seven bits a byte."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
