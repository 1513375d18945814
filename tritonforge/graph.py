"""An `.onnx` file: its signature, whether it is sound, and a session that runs it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from tritonforge.errors import GraphError
from tritonforge.spec import Domain
from tritonforge.tensors import Arrays, Dim, DType, Run, Signature, TensorSpec

_LARGEST_PROTOBUF = 2**31 - 1
_KEEPS_VALUES = {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"}


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
            f"{path} is not a sound ONNX file: {_first_line(error)}",
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
            f" {_first_line(error)}",
            hint="choose a newer --target, or export the model again at that opset",
        ) from error


def signature(model: onnx.ModelProto) -> Signature:
    """Return what the graph takes and gives; initializers that are also inputs are left out.

    An unnamed first dimension is the batch, an unnamed other one is named after its tensor.
    Raises `GraphError` for what Triton's tensors cannot express: sequences, maps, optionals,
    unknown rank, and dtypes without a Triton type.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    return Signature(
        inputs=tuple(_tensor(value, "input") for value in inputs),
        outputs=tuple(_tensor(value, "output") for value in model.graph.output),
    )


def _tensor(value: onnx.ValueInfoProto, kind: str) -> TensorSpec:
    """Describe one input or output."""
    form = value.type.WhichOneof("value")
    if form != "tensor_type":
        raise GraphError(
            f"{kind} {value.name!r} is a {(form or 'nothing').removesuffix('_type')},"
            " Triton serves tensors only",
            hint="cut the graph before it (skl2onnx: options={'zipmap': False})",
        )
    tensor = value.type.tensor_type
    dtype = DType.from_onnx(tensor.elem_type)
    if dtype is None:
        known = TensorProto.DataType.DESCRIPTOR.values_by_number.get(tensor.elem_type)
        name = known.name if known else f"of type {tensor.elem_type}"
        raise GraphError(
            f"{kind} {value.name!r} is {name}, which Triton's ONNX Runtime backend does not take",
            hint="put a Cast to FLOAT before the output or after the input",
        )
    if not tensor.HasField("shape"):
        raise GraphError(
            f"{kind} {value.name!r} has no shape in the file",
            hint="run onnx.shape_inference, or state the shape in the file",
        )
    dims = tuple(_dim(dim, value.name, index) for index, dim in enumerate(tensor.shape.dim))
    return TensorSpec(name=value.name, dtype=dtype, dims=dims)


def _dim(dim: Any, tensor: str, index: int) -> Dim:
    """Return a number for a fixed dimension, a name for a dynamic one."""
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    if dim.HasField("dim_param") and dim.dim_param:
        return str(dim.dim_param)
    return "batch" if index == 0 else f"{tensor}_{index}"


def name_output_dims(model: onnx.ModelProto, dims: Mapping[str, tuple[Dim, ...]]) -> None:
    """Rewrite the shapes that a graph states for its outputs, in place."""
    for value in model.graph.output:
        for dim, wanted in zip(
            value.type.tensor_type.shape.dim, dims.get(value.name, ()), strict=False
        ):
            if isinstance(wanted, str):
                dim.dim_param = wanted
            else:
                dim.dim_value = wanted


def domains(model: onnx.ModelProto) -> dict[str, Domain]:
    """Guess from the graph which whole numbers an integer input may hold.

    An input that indexes a constant table (Gather on an embedding) holds numbers below its length,
    straight or through Cast, Reshape and their like.
    """
    tables = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    origin = {value.name: value.name for value in model.graph.input if value.name not in tables}
    found: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[0] in tables and node.input[1] in origin:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            length = tables[node.input[0]][axis] if tables[node.input[0]] else 0
            name = origin[node.input[1]]
            found[name] = min(found.get(name, length), length)
        elif node.op_type in _KEEPS_VALUES and node.input[0] in origin:
            origin[node.output[0]] = origin[node.input[0]]
    integers = {
        value.name
        for value in model.graph.input
        if (dtype := DType.from_onnx(value.type.tensor_type.elem_type)) is not None
        and not dtype.is_float
    }
    return {
        name: Domain(kind="integers", low=0, high=length)
        for name, length in found.items()
        if name in integers and length > 0
    }


def conditions(model: onnx.ModelProto) -> tuple[str, ...]:
    """Name the values that decide the graph's own If nodes."""
    constants = {tensor.name for tensor in model.graph.initializer}
    names = (node.input[0] for node in model.graph.node if node.op_type == "If")
    return tuple(dict.fromkeys(name for name in names if name not in constants))


def check(path: Path) -> None:
    """Run the ONNX checker over a file; raises `GraphError`."""
    try:
        onnx.checker.check_model(path)
    except Exception as error:  # ValidationError, and ValueError for protobuf limits
        raise GraphError(
            f"{path.name} fails the ONNX checker: {_first_line(error)}",
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


@contextmanager
def session(
    path: Path, *, optimize: bool = True, extra_outputs: tuple[str, ...] = ()
) -> Iterator[Run]:
    """Open a CPU session of ONNX Runtime on a file and yield it as a `Run`.

    `optimize` False runs the graph as it is written. `extra_outputs` names inner values to return
    besides the outputs. Raises `GraphError`, when it opens and when a run fails.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Its threads would spin between runs and take the cores from torch, which runs in turn with it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source: Any = str(path)
    if extra_outputs:
        model = load(path)
        model.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, TensorProto.BOOL, None)
            for name in extra_outputs
        )
        source = model.SerializeToString()
    try:
        opened = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # pybind exceptions without a common public base
        raise GraphError(
            f"ONNX Runtime {onnxruntime.__version__} refuses {path.name}: {_first_line(error)}",
            hint="try another --exporter or --opset",
        ) from error
    names = [each.name for each in opened.get_outputs()]

    def run(arrays: Arrays) -> Arrays:
        try:
            fed = {name: _text(array) for name, array in arrays.items()}
            return dict(zip(names, opened.run(None, fed), strict=True))
        except Exception as error:  # as above
            shapes = ", ".join(f"{name} {list(each.shape)}" for name, each in arrays.items())
            raise GraphError(
                f"ONNX Runtime fails on {shapes}: {_first_line(error)}",
                hint="sizes and values must suit the model: bound them by --range and --domain",
            ) from error

    yield run


def _text(array: np.ndarray) -> np.ndarray:
    """Return strings as text: of `bytes` ONNX Runtime would take what `str` makes, "b'…'"."""
    if array.dtype.kind != "O":
        return array
    texts = [item.decode() if isinstance(item, bytes) else item for item in array.flat]
    return np.array(texts, dtype=object).reshape(array.shape)


def _first_line(error: BaseException) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:400]
