"""An `.onnx` file on disk: reading, writing, converting, whether it is sound and whole."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnx
from onnx import TensorProto

from tritonforge.errors import GraphError

_LARGEST_PROTOBUF = 2**31 - 1
# onnx's converter says which line of its own failed before it says why
_ASSERTION = re.compile(r"^.*: Assertion `?'?.*?'? failed: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a file says it needs: the opset of the default domain, that of `ai.onnx.ml`, the IR."""

    opset: int
    ir: int
    ml_opset: int = 0


def load(path: Path, *, weights: bool = False) -> onnx.ModelProto:
    """Read a file, external weights only on request; raises `GraphError` for a damaged one."""
    try:
        model = onnx.load(path, load_external_data=weights)
    except (OSError, ValueError) as error:
        raise GraphError(f"cannot read {path}: {error}", hint="check the file") from error
    except Exception as error:  # google.protobuf's DecodeError and onnx's own checks
        raise GraphError(
            f"{path} is not a sound ONNX file: {first_line(error)}",
            hint="it may be truncated; export or download it again",
        ) from error
    if not model.HasField("graph") or not model.opset_import:
        raise GraphError(f"{path} is not an ONNX model", hint="it may be empty or truncated")
    return model


def stamp_of(model: onnx.ModelProto) -> Stamp:
    """Return what a model states; opset 1 where it states none, 0 of `ai.onnx.ml`."""
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    return Stamp(
        opset=opsets.get("ai.onnx", 1), ir=model.ir_version, ml_opset=opsets.get("ai.onnx.ml", 0)
    )


def write(model: onnx.ModelProto, path: Path) -> None:
    """Write a model in one file; raises `GraphError` above protobuf's 2 GiB."""
    if model.ByteSize() > _LARGEST_PROTOBUF:
        raise GraphError(
            f"{path.name} would be over 2 GiB, which one ONNX file cannot hold",
            hint="models of that size are not built yet",
        )
    path.write_bytes(model.SerializeToString())


def converted(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return the model at another opset by onnx's converter; raises `GraphError` if it cannot."""
    from onnx import version_converter

    try:
        return version_converter.convert_version(model, opset)
    except Exception as error:  # the converter raises RuntimeError, ConvertError and more
        raise GraphError(
            f"onnx cannot convert from opset {stamp_of(model).opset} to {opset}:"
            f" {first_line(error)}",
            hint="choose a newer --target, or export the model again at that opset",
        ) from error


def check(path: Path) -> None:
    """Run the ONNX checker over a file; raises `GraphError`."""
    try:
        onnx.checker.check_model(path)
    except Exception as error:  # ValidationError, and ValueError for protobuf limits
        raise GraphError(
            f"{path.name} fails the ONNX checker: {first_line(error)}",
            hint="export it again with another --exporter or --opset",
        ) from error


def external_files(path: Path) -> tuple[str, ...]:
    """Name the files that hold weights of a model, relative to its folder.

    Raises `GraphError` for one that is missing, too short, absolute, or leaves the folder by `..`
    or a symlink: such a model would break, or read what it should not, wherever it is copied.
    """
    model = load(path)
    nodes = [*model.graph.node, *(node for each in model.functions for node in each.node)]
    found: dict[str, None] = {}
    for tensor in (*model.graph.initializer, *_tensors_inside(nodes)):
        if tensor.data_location == TensorProto.EXTERNAL:
            entry = {each.key: each.value for each in tensor.external_data}
            found[_held_beside(path, entry)] = None
    return tuple(found)


def _tensors_inside(nodes: Iterable[onnx.NodeProto]) -> Iterator[TensorProto]:
    """Yield the tensors in the attributes of nodes, and in the graphs in them."""
    for attribute in (each for node in nodes for each in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (attribute.g, *attribute.graphs):
            yield from inner.initializer
            yield from _tensors_inside(inner.node)


def _held_beside(path: Path, entry: Mapping[str, str]) -> str:
    """Return where a tensor's bytes lie, if that is safe and they are all there."""
    folder, location = path.parent.resolve(), entry.get("location", "")
    pure = PurePosixPath(location)
    target = (folder / pure).resolve()
    if pure.is_absolute() or ".." in pure.parts or not target.is_relative_to(folder):
        raise GraphError(
            f"{path.name} keeps weights outside its folder, at {location!r}",
            hint="save the model with its weights beside it, under a relative path",
        )
    if not target.is_file():
        raise GraphError(
            f"{path.name} needs {location!r} beside it, which is missing",
            hint="copy the weights file too",
        )
    start, size = (entry.get(key, "0") for key in ("offset", "length"))
    whole = start.isdecimal() and size.isdecimal()
    if not whole or int(start) + int(size) > target.stat().st_size:
        raise GraphError(
            f"{path.name} needs more weights than {location!r} holds",
            hint="it may be truncated; copy or download it again",
        )
    return location


def first_line(error: BaseException) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return _ASSERTION.sub("", first)[:400]
