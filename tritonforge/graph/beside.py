"""Weights in one file beside a model: written, taken in, moved with it.

Values go from file to file in blocks, so memory does not depend on how many there are.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from onnx import GraphProto, ModelProto, TensorProto, numpy_helper

from tritonforge.errors import GraphError
from tritonforge.graph import cost, lean
from tritonforge.graph.external import chunks, inside, is_external, region, take_values
from tritonforge.graph.file import LARGEST_PROTOBUF, load
from tritonforge.graph.schemas import MAIN, every_graph

# Large tensors begin where a page does, which ONNX Runtime maps: 64 KiB is the largest in use (the
# kernels of ARM servers). Others begin where its own memory would, so that no value is unaligned.
_PAGE, _LINE = 1 << 16, 64
_OF_PAGES = 1 << 20
_VALUES = (
    *("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"),
    "string_data",
)


def data_of(path: Path) -> Path:
    """Return the file beside a model that we write its weights to."""
    return path.with_name(f"{path.name}.data")


def has_data(path: Path) -> bool:
    """Say whether a model that we wrote has its weights beside it."""
    return data_of(path).exists()


def write(
    model: ModelProto, path: Path, *, beside: bool | None = None, base: Path | None = None
) -> None:
    """Write a model with its weights: in the file, or all large ones in one file beside it.

    `beside` None is for where they lie beside it already, or the file would pass protobuf's 2 GiB.
    `base` is the folder that holds the files which the model names, without one that of `path`. In
    place: the model then names what lies beside it. Raises `GraphError` above 2 GiB, and where a
    part cannot be read or written.
    """
    base = path.parent if base is None else base
    apart = _is_beside(model, path, base) if beside is None else beside
    if not apart and _size(model, external=True) > LARGEST_PROTOBUF:
        apart = beside is None
        _check(apart, path, "leave --no-external-data out")
    large = []
    for tensor, movable in _tensors(model):
        size = cost.size_of(tensor)
        if apart and movable and size > lean.LARGE and tensor.data_type != TensorProto.STRING:
            large.append(tensor)
        elif is_external(tensor):
            take_values(tensor, base)
    if large and not (base == path.parent and all(_is_settled(each, path) for each in large)):
        _move_out(large, base, path)
    inside_it = _size(model, external=False) <= LARGEST_PROTOBUF
    _check(inside_it, path, "keep the tensors in attributes small")
    _put(path, model.SerializeToString())
    if not large:
        data_of(path).unlink(missing_ok=True)  # of what it takes the place of


def move(path: Path, target: Path) -> None:
    """Move a model with the weights that we wrote beside it, under names that go together."""
    if has_data(path):
        data_of(path).replace(data_of(target))
        if target.name != path.name:
            model = load(path)
            for tensor, _ in _tensors(model):
                if is_external(tensor):
                    _, offset, size = region(tensor)
                    _refer(tensor, data_of(target).name, offset, size)
            _put(path, model.SerializeToString())
    else:
        data_of(target).unlink(missing_ok=True)  # of what it takes the place of
    path.replace(target)


def _is_beside(model: ModelProto, path: Path, base: Path) -> bool:
    """Say whether a model has weights beside the path, where we write them."""
    names = {region(tensor)[0] for tensor, _ in _tensors(model) if is_external(tensor)}
    return base == path.parent and data_of(path).name in names


def _check(fits: bool, path: Path, hint: str) -> None:  # noqa: FBT001 - a fact
    """Raise `GraphError` where a file would not fit."""
    if not fits:
        raise GraphError(
            f"{path.name} would be over 2 GiB, which one ONNX file cannot hold", hint=hint
        )


def _size(model: ModelProto, *, external: bool) -> int:
    """Return the bytes of a model in one file, with or without what lies in others."""
    sizes = {True: 0, False: 0}
    for tensor, _ in _tensors(model):
        sizes[is_external(tensor)] += cost.size_of(tensor)
    beside = sizes[True] if external else 0
    if sizes[False] > LARGEST_PROTOBUF:  # protobuf itself cannot tell then
        return sizes[False] + beside
    return int(model.ByteSize()) + beside


def _tensors(model: ModelProto) -> Iterator[tuple[TensorProto, bool]]:
    """Yield each tensor, and whether every ONNX Runtime takes its values from another file.

    Those are weights of graphs and Constants in them, which it makes weights of.
    """
    for graph in every_graph(model.graph):
        yield from _of_graph(graph)
    for function in model.functions:
        yield from ((tensor, False) for tensor in inside(function.node))


def _of_graph(graph: GraphProto) -> Iterator[tuple[TensorProto, bool]]:
    """Yield the tensors of one graph, without those of the graphs in it."""
    yield from ((tensor, True) for tensor in graph.initializer)
    yield from ((sparse.values, False) for sparse in graph.sparse_initializer)
    for node in graph.node:
        constant = node.op_type == "Constant" and (node.domain or MAIN) == MAIN
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t, constant
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor.values, False
            yield from ((tensor, False) for tensor in attribute.tensors)


def _is_settled(tensor: TensorProto, path: Path) -> bool:
    """Say whether a tensor lies where we would have put it."""
    if not is_external(tensor):
        return False
    location, offset, size = region(tensor)
    return location == data_of(path).name and offset == _aligned(offset, size)


def _aligned(offset: int, size: int) -> int:
    """Return where a tensor of this size begins, from an offset on."""
    step = _PAGE if size >= _OF_PAGES else _LINE
    return -(-offset // step) * step


def _move_out(large: Sequence[TensorProto], base: Path, path: Path) -> None:
    """Write the values of tensors to the file beside a model, and name it in them."""
    data = data_of(path)
    partial = data.with_name(f"{data.name}.partial")
    known: dict[tuple[str, int, int], int] = {}
    try:
        with partial.open("wb") as file:
            places = [_append(file, tensor, base, known) for tensor in large]
        partial.replace(data)
    except OSError as error:
        raise _unwritable(data, error) from error
    finally:
        partial.unlink(missing_ok=True)
    for tensor, (offset, size) in zip(large, places, strict=True):
        _refer(tensor, data.name, offset, size)


def _append(
    file: BinaryIO, tensor: TensorProto, base: Path, known: dict[tuple[str, int, int], int]
) -> tuple[int, int]:
    """Append the values of a tensor; return where they lie. What several tensors name is kept once.

    `known` says where regions of other files have come to lie.
    """
    if not is_external(tensor):
        values = _raw(tensor)
        offset = file.seek(_aligned(file.tell(), len(values)))
        file.write(values)
        return offset, len(values)
    place = region(tensor)
    if place not in known:
        known[place] = file.seek(_aligned(file.tell(), place[2]))
        file.writelines(chunks(tensor, base))
    return known[place], place[2]


def _raw(tensor: TensorProto) -> bytes:
    """Return the values of a tensor as they lie in a file, whichever of its forms they are in."""
    if tensor.HasField("raw_data"):
        return tensor.raw_data
    try:
        return numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data
    except (TypeError, ValueError) as error:
        raise GraphError(
            f"the values of {tensor.name!r} do not suit its type and shape: {error}",
            hint="export the model again",
        ) from error


def _refer(tensor: TensorProto, location: str, offset: int, size: int) -> None:
    """Say in a tensor where its values lie."""
    for field in _VALUES:
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", offset), ("length", size)):
        tensor.external_data.add(key=key, value=str(value))


def _put(path: Path, content: bytes) -> None:
    """Write a file."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> GraphError:
    """Make an error of what could not be written."""
    return GraphError(
        f"cannot write {path}: {error.strerror or os.strerror(error.errno or 0)}",
        hint="free some space, or check who owns the folder",
    )
