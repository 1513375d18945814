"""What the server checks of a config's tensors: inputs, outputs, and what it makes of a batch.

Source: triton-inference-server/core, `model_config_utils.cc` (ValidateIOShape, ValidateModelInput,
ValidateBatchIO); onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
"""

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge import knobs
from tritonforge.pbtxt.asking import is_complete
from tritonforge.pbtxt.targeted.fault import Fault, error, near, told_apart, value_of
from tritonforge.release import Release

_INPUT = model_config_pb2.ModelInput
_LAID_OUT = {_INPUT.FORMAT_NHWC: "FORMAT_NHWC", _INPUT.FORMAT_NCHW: "FORMAT_NCHW"}
_BATCH_TYPES = ("TYPE_INT32", "TYPE_FP32")


def tensors(message: Any, release: Release, *, onnx: bool) -> Iterator[Fault]:
    """Yield what is wrong of the tensors; `onnx` says that the ONNX Runtime backend serves them."""
    complete = is_complete(message)
    for kind in ("input", "output"):
        for place, entry in told_apart(kind, getattr(message, kind)):
            if complete:  # else the backend adds what is missing
                yield from _stated(place, entry)
            yield from _shaped(place, entry, message.max_batch_size)
            if onnx:
                yield from _foreign(place, entry, release)
    for place, entry in told_apart("input", message.input):
        if entry.format in _LAID_OUT and len(entry.dims) != 3:
            yield error(
                f"{place}.format",
                f"{_LAID_OUT[entry.format]} needs 3 dims, without the batch, not {len(entry.dims)}",
            )
        if onnx and entry.optional:
            yield from _optional(place, entry, message.max_batch_size)
    yield from _of_batches(message)


def _stated(place: str, entry: Any) -> Iterator[Fault]:
    """Yield what a tensor lacks."""
    if not entry.name:
        yield error(f"{place}.name", "a tensor needs a name")
    if entry.data_type == model_config_pb2.TYPE_INVALID:
        yield error(f"{place}.data_type", "a tensor needs a data_type")
    if not entry.dims:
        yield error(f"{place}.dims", "a tensor needs dims; one value is dims: [ 1 ]")


def _shaped(place: str, entry: Any, most: int) -> Iterator[Fault]:
    """Yield what is wrong of a tensor's shape, and of that which the model is given instead."""
    shapes = {"dims": entry.dims, "reshape.shape": entry.reshape.shape}
    bad = [name for name, dims in shapes.items() if any(each < 1 and each != -1 for each in dims)]
    for name in bad:
        yield error(
            f"{place}.{name}", "a dimension should be 1 or more, or -1 for any size", is_lone=True
        )
    if not entry.HasField("reshape") or bad:
        return
    if not entry.reshape.shape and most == 0:
        yield error(f"{place}.reshape", "without a batch a tensor cannot be reshaped to nothing")
    elif _trunks(entry.dims) != _trunks(entry.reshape.shape):
        yield error(
            f"{place}.reshape",
            f"{list(entry.dims)} cannot become {list(entry.reshape.shape)}: between their dynamic"
            " dimensions both should have as many elements",
        )


def _trunks(dims: Iterable[int]) -> list[int]:
    """Count the elements of each run of fixed dimensions, as dynamic ones part them."""
    runs: list[list[int]] = [[]]
    for dim in dims:
        if dim == -1:
            runs.append([])
        else:
            runs[-1].append(dim)
    return [prod(run) for run in runs]


def _foreign(place: str, entry: Any, release: Release) -> Iterator[Fault]:
    """Yield what only other backends take."""
    for name in ("is_shape_tensor", "is_non_linear_format_io"):
        if getattr(entry, name):
            yield error(f"{place}.{name}", "only the TensorRT backend takes it: leave it out")
    name = value_of(entry, "data_type")
    since = knobs.sinces("data_types").get(name)
    if not knobs.begun(since, release):
        yield error(
            f"{place}.data_type",
            f"the ONNX Runtime backend takes {name} since {since}, not yet in {release.tag}",
        )


def _optional(place: str, entry: Any, most: int) -> Iterator[Fault]:
    """Yield why an input cannot be optional."""
    if most > 0:
        yield error(f"{place}.optional", f"with max_batch_size {most} no input can be optional")
    if entry.allow_ragged_batch:
        yield error(f"{place}.allow_ragged_batch", "an optional input cannot be ragged")


def _of_batches(message: Any) -> Iterator[Fault]:
    """Yield what is wrong of tensors that the server makes of a batch, or scatters over it."""
    inputs = [each.name for each in message.input]
    outputs = [each.name for each in message.output]
    for number, entry in enumerate(message.batch_input):
        place = f"batch_input[{number}]"
        yield from _sources(place, entry.source_input, inputs)
        name = value_of(entry, "data_type")
        if name not in _BATCH_TYPES:
            yield error(
                f"{place}.data_type", f"{name} should be {' or '.join(_BATCH_TYPES)}", is_lone=True
            )
    for number, entry in enumerate(message.batch_output):
        place = f"batch_output[{number}]"
        yield from _sources(place, entry.source_input, inputs)
        for name in dict.fromkeys(entry.target_name):
            if name not in outputs:
                hint = near(name, outputs)
                yield error(f"{place}.target_name", f"there is no output {name!r}{hint}")
            elif list(entry.target_name).count(name) > 1:
                yield error(f"{place}.target_name", f"{name!r} is listed twice")


def _sources(place: str, sources: Sequence[str], inputs: Sequence[str]) -> Iterator[Fault]:
    """Yield what is wrong of the input that such a tensor is made of."""
    if len(sources) != 1:
        yield error(f"{place}.source_input", f"it should be one input, not {len(sources)}")
    for name in sources:
        if name not in inputs:
            hint = near(name, inputs)
            yield error(f"{place}.source_input", f"there is no input {name!r}{hint}")
