"""Weights that a model keeps in other files: where they should lie, and whether they all do."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath

from onnx import ModelProto, NodeProto, TensorProto

from tritonforge import presence
from tritonforge.errors import GraphError
from tritonforge.graph import cost, lean

_DIGITS = 20  # of a number beyond 64 bits
_BLOCK = 1 << 24  # bytes that are read at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What a model asks of a file of weights: how many tensors, and the last byte of them.

    `fault` is the first thing that is wrong with what it says of them.
    """

    location: str
    tensors: int
    end: int
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A file of weights: how many tensors, the bytes that they need of it and that it holds.

    `bytes` is None where the file is missing or was not looked at. `fault` says what is wrong with
    it and `hint` what helps, both None where all is well. One that `is_outside` lies not in the
    model's folder, and `is_there` only tells whether it is a file;
    one that `is_itself` is the model's. Of one that `is_mistaken` the fault is that ONNX Runtime
    takes for weights what Git LFS puts in their place, as it is long enough.
    """

    location: str
    tensors: int
    needs: int
    bytes: int | None
    fault: str | None
    hint: str | None
    is_outside: bool = False
    is_there: bool = True
    is_itself: bool = False
    is_mistaken: bool = False


def external_files(path: Path) -> tuple[str, ...]:
    """Name the files that hold weights of a model, relative to its folder.

    Raises `GraphError` for one that is missing, too short, absolute, or leaves the folder by `..`
    or a symlink: such a model would break, or read what it should not, wherever it is copied.
    """
    found = externals(path, lean.read(path))
    for each in found:
        if each.fault is not None:
            raise GraphError(f"{path.name} {each.fault}", hint=each.hint)
    return tuple(each.location for each in found)


def externals(path: Path, model: ModelProto) -> tuple[External, ...]:
    """Describe each file of weights; of one outside the model's folder no byte is read."""
    return tuple(described(path, each) for each in needed(model))


def needed(model: ModelProto) -> tuple[Needed, ...]:
    """Say what a model asks of each file of weights, without looking at it."""
    asked: dict[str, list[tuple[int, str | None]]] = {}
    for tensor in tensors(model):
        if is_external(tensor):
            entry = _entries(tensor)
            asked.setdefault(entry["location"], []).append(_end(tensor, entry))
    return tuple(
        Needed(location=location, tensors=len(ends), end=end, fault=fault)
        for location, ends in asked.items()
        for end, fault in (_worst(ends),)
    )


def take_in(path: Path, model: ModelProto) -> None:
    """Read the small tensors in files beside the model, in place: shapes are read from them."""
    for tensor in _small(model):
        entry = _entries(tensor)
        end, fault = _end(tensor, entry)
        asked = Needed(location=entry["location"], tensors=1, end=end, fault=fault)
        if fault is None and described(path, asked).fault is None:
            take_values(tensor, path.parent)


def takes_in(model: ModelProto) -> bool:
    """Say whether a model has small tensors in other files, see `take_in`."""
    return any(True for _ in _small(model))


def _small(model: ModelProto) -> Iterator[TensorProto]:
    """Yield the small tensors in other files."""
    for tensor in tensors(model):
        if is_external(tensor):
            wanted = cost.tensor_bytes(tensor.data_type, prod(tensor.dims))
            if wanted is not None and 0 <= wanted <= lean.LARGE:
                yield tensor


def is_external(tensor: TensorProto) -> bool:
    """Say whether the values of a tensor lie in another file."""
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def region(tensor: TensorProto) -> tuple[str, int, int]:
    """Return the file that holds a tensor's values, where they begin, and their bytes."""
    entry = _entries(tensor)
    end, fault = _end(tensor, entry)
    if fault is not None:
        raise GraphError(f"the model {fault}", hint="export the model again")
    start = int(entry.get("offset", "0"))
    return entry["location"], start, end - start


def chunks(tensor: TensorProto, folder: Path) -> Iterator[bytes]:
    """Yield the values of a tensor out of its file, block by block; raises `GraphError`."""
    location, start, left = region(tensor)
    path = folder / location
    try:
        with path.open("rb") as file:
            file.seek(start)
            while left:
                if not (block := file.read(min(left, _BLOCK))):
                    raise GraphError(f"{path} ends {left} bytes before {tensor.name!r} does")
                left -= len(block)
                yield block
    except OSError as error:
        raise GraphError(f"cannot read {path}: {error.strerror}", hint="check the file") from error


def take_values(tensor: TensorProto, folder: Path) -> None:
    """Read a tensor's values out of its file, in place."""
    tensor.raw_data = b"".join(chunks(tensor, folder))
    tensor.ClearField("data_location")
    del tensor.external_data[:]


def _entries(tensor: TensorProto) -> dict[str, str]:
    """Return what a tensor says of its file, the location always."""
    return {"location": "", **{each.key: each.value for each in tensor.external_data}}


def tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor of a model, those in subgraphs, attributes and functions too."""
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield sparse.values
    yield from inside(model.graph.node)
    for function in model.functions:
        yield from inside(function.node)


def inside(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    """Yield the tensors in the attributes of nodes, and in the graphs in them."""
    for attribute in (each for node in nodes for each in node.attribute):
        if attribute.HasField("t"):
            yield attribute.t
        if attribute.HasField("sparse_tensor"):
            yield attribute.sparse_tensor.values
        yield from attribute.tensors
        for inner in (attribute.g, *attribute.graphs):
            yield from inner.initializer
            yield from inside(inner.node)


def _end(tensor: TensorProto, entry: Mapping[str, str]) -> tuple[int, str | None]:
    """Return where a tensor's bytes end in its file, and what is wrong with what it says of them.

    ONNX Runtime refuses a length that does not suit the shape (`tensorprotoutils.cc`).
    """
    start, size = entry.get("offset", "0"), entry.get("length", "0")
    if not (_is_number(start) and _is_number(size)):
        told = f"begins at {start[:40]!r} and takes {size[:40]!r} bytes"
        return 0, f"says of {tensor.name!r} that it {told}"
    wanted = cost.tensor_bytes(tensor.data_type, prod(tensor.dims))
    if wanted is not None and int(size) not in {0, wanted}:
        fault = f"has {size} bytes for {tensor.name!r}, whose shape takes {wanted}"
        return int(start) + int(size), fault
    return int(start) + (wanted or int(size)), None


def _is_number(text: str) -> bool:
    """Say whether a text is a whole number of 64 bits."""
    return text.isdecimal() and len(text) < _DIGITS


def _worst(ends: Iterable[tuple[int, str | None]]) -> tuple[int, str | None]:
    """Return the last byte that is needed, and the first fault."""
    known = list(ends)
    return max(end for end, _ in known), next((fault for _, fault in known if fault), None)


def described(path: Path, asked: Needed) -> External:
    """Look at one file, unless it lies outside the model's folder."""
    location, fault = asked.location, asked.fault
    held, hint, mistaken = None, "export the model again", False
    outside = not _is_beside(path.parent, location)
    if outside:
        fault = f"keeps weights outside its folder, at {location!r}"
        hint = "save the model with its weights beside it, under a relative path"
        if (path.parent / location).is_symlink():
            fault += ", which is a link out of it"
            hint = "copy the weights themselves beside the model, as cp -L does"
    elif (held := _size(path.parent / location)) is None:
        fault, hint = f"needs {location!r} beside it, which is missing", "copy the weights file too"
        if _exists(path.parent / location):
            fault, hint = f"needs {location!r} beside it, which is no file", "copy a file there"
    elif presence.is_pointer(path.parent / location):
        fault = f"needs {location!r} beside it, which is a pointer of Git LFS"
        hint, mistaken = "run `git lfs pull`", asked.fault is None and asked.end <= held
    elif fault is None and asked.end > held:
        fault = f"needs more weights than {location!r} holds: {asked.end} bytes, not {held}"
        hint = "it may be truncated; copy or download it again"
    return External(
        location=location,
        tensors=asked.tensors,
        needs=asked.end,
        bytes=held,
        fault=fault,
        hint=hint if fault else None,
        is_outside=outside,
        is_there=_size(path.parent / location) is not None,
        is_itself=not outside and held is not None and path.samefile(path.parent / location),
        is_mistaken=mistaken,
    )


def _is_beside(folder: Path, location: str) -> bool:
    """Say whether a location is relative and stays in the folder, symlinks resolved."""
    pure = PurePosixPath(location)
    if pure.is_absolute() or ".." in pure.parts:
        return False
    try:
        return (folder / pure).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links; a NUL in the name
        return False


def _size(path: Path) -> int | None:
    """Return the bytes of a file, None where there is none."""
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # a name too long, or with a NUL
        return None


def _exists(path: Path) -> bool:
    """Say whether there is anything under a name."""
    try:
        return path.exists()
    except OSError:  # as above
        return False
