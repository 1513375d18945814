"""Bounds of what is read of a file: what is beyond costs more than any model is worth."""

import re
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from onnx import ModelProto

from tritonforge.errors import GraphError
from tritonforge.graph.schemas import every_graph

MOST_FIELDS = 2_000_000  # a graph of a hundred thousand nodes has half of it
MOST_NODES = 200_000
DEEPEST = 100  # messages in messages that protobuf reads
MOST_DIMS = 255  # of a tensor; their product is taken
_SMALL = 8 << 20  # bytes: what is shorter holds no more parts than memory bears
_HINT = "check the file: a model is not made so"
# Floats and whole numbers of an attribute, each with its tag; so many at a time, as a pattern
# remembers where each began.
NUMBERS = re.compile(
    rb"(?:\x3d.{4}){1,1000}|(?:\x40[\x80-\xff]{0,9}[\x00-\x7f]){1,1000}", re.DOTALL
)


class DamagedError(Exception):
    """Bytes that are no protobuf message, or none of a model."""


def check_parts(data: bytes) -> None:
    """Raise `DamagedError` for a message of so many parts that they take far more than its bytes.

    Each part takes a hundred bytes in memory, and two in the file where it is empty.
    """
    if len(data) > _SMALL:
        view = memoryview(data)
        _count(view, 0, len(data), ModelProto.DESCRIPTOR, count(1), 0)


def check_model(model: ModelProto, path: Path) -> None:
    """Raise `GraphError` for a graph that takes minutes to judge, and tensors of no shape."""
    graphs = [model.graph, *model.functions]
    nodes = (node for each in graphs for inner in every_graph(each) for node in inner.node)
    if next(islice(nodes, MOST_NODES, None), None) is not None:
        raise GraphError(f"{path} has more than {MOST_NODES:,} nodes", hint=_HINT)
    for each in model.graph.initializer:
        if len(each.dims) > MOST_DIMS:
            said = f"{path} has a tensor {each.name[:40]!r} of {len(each.dims):,} dimensions"
            raise GraphError(said, hint=_HINT)


def counted(counter: Iterator[int]) -> None:
    """Count a field; raises `DamagedError` for one too many."""
    if next(counter) > MOST_FIELDS:
        raise DamagedError(f"it has more than {MOST_FIELDS:,} fields, as no model has")


def field(data: memoryview, at: int, end: int) -> tuple[int, int, int]:
    """Return a field's tag, and where its content begins and ends; raises `DamagedError`."""
    tag, at = varint(data, at, end)
    wire, size = tag & 7, 0
    if wire == 2:
        size, at = varint(data, at, end)
    elif wire == 0:
        at = varint(data, at, end)[1]
    elif wire in {1, 5}:
        size = 8 if wire == 1 else 4
    else:
        raise DamagedError(f"byte {at} begins no field")
    if at + size > end:
        raise DamagedError(f"at least {at + size - end} bytes of it are missing")
    return tag, at, at + size


def varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; return it and where it ends."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise DamagedError(f"it breaks off at byte {at}")


def _count(
    data: memoryview, at: int, end: int, kind: Any, counter: Iterator[int], depth: int
) -> None:
    """Count the fields of a message and of those in it."""
    if depth > DEEPEST:
        raise DamagedError(f"its messages lie more than {DEEPEST} deep in each other")
    inner = {each.number: each.message_type for each in kind.fields if each.message_type}
    while at < end:
        counted(counter)
        run = NUMBERS.match(data, at, end) if kind.name == "AttributeProto" else None
        if run is not None:
            at = run.end()
            continue
        tag, body, at = field(data, at, end)
        if tag & 7 == 2 and tag >> 3 in inner:
            _count(data, body, at, inner[tag >> 3], counter, depth + 1)
