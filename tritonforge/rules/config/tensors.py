"""Rules of inputs and outputs: what they are of, their shapes, and what only some backends take."""

from collections.abc import Iterable, Iterator
from typing import Any

from tritonforge import knobs, pbtxt
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.rules.places import shown, value_of
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Config

_LAID_OUT = {"FORMAT_NHWC", "FORMAT_NCHW"}
_FILLING = {"dali", "openvino", "tensorflow", "tensorrt"}  # add what a listed tensor lacks


def _tensors(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield inputs and outputs with their places."""
    for kind in ("input", "output"):
        yield from told_apart(kind, getattr(config.message, kind))


def _stated(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the tensors to which no backend adds what they lack.

    That of ONNX Runtime adds inputs or outputs where none are listed, and nothing to those. Those
    that read names, types and shapes off their model add each alone.
    """
    if config.backend in _FILLING:
        return
    if config.is_onnx or pbtxt.is_complete(config.message):
        yield from _tensors(config)


def _reshaped(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the tensors that a model has in another shape, both shapes being such."""
    for place, entry in _tensors(config):
        if entry.HasField("reshape") and not _unfit((*entry.dims, *entry.reshape.shape)):
            yield place, entry


def _unfit(dims: Iterable[int]) -> list[int]:
    """Return the numbers of those dimensions that are none."""
    return [number for number, dim in enumerate(dims) if dim < 1 and dim != -1]


@rule("TEN101", "refused", is_lasting=True)
def named(config: Config) -> Iterator[Found]:
    """A tensor has a name.

    The backend adds inputs or outputs where none are listed, and nothing to those that are.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateIOShape).
    Remedy: write the name that the model has.
    """
    for place, entry in _stated(config):
        if not entry.name:
            yield Found(said="a tensor needs a name", at=f"{place}.name")


@rule("TEN102", "refused", is_lasting=True)
def typed(config: Config) -> Iterator[Found]:
    """A tensor has a data_type.

    The backend adds inputs or outputs where none are listed, and nothing to those that are.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateIOShape).
    Remedy: write the type that the model has, such as TYPE_FP32.
    """
    for place, entry in _stated(config):
        name = value_of(entry, "data_type")
        if name == "TYPE_INVALID":
            yield Found(said="a tensor needs a data_type", at=f"{place}.data_type")
        elif not name.startswith("TYPE_"):
            yield Found(said=f"there is no data_type {name}", at=f"{place}.data_type")


@rule("TEN103", "refused", is_lasting=True)
def shaped(config: Config) -> Iterator[Found]:
    """A tensor has dims.

    The backend adds inputs or outputs where none are listed, and nothing to those that are.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateIOShape).
    Remedy: write the shape of a request's row, without the batch; one value is dims: [ 1 ].
    """
    for place, entry in _stated(config):
        if not entry.dims:
            yield Found(said="a tensor needs dims; one value is dims: [ 1 ]", at=f"{place}.dims")


@rule("TEN104", "refused", is_lone=True, is_lasting=True)
def dimensions(config: Config) -> Iterator[Found]:
    """A dimension is 1 or more, or -1 for any size.

    The server takes 0, and numbers below -1, for a mistake.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateIOShape).
    Remedy: write its size, or -1.
    """
    for place, entry in _tensors(config):
        for name, dims in (("dims", entry.dims), ("reshape.shape", entry.reshape.shape)):
            for number in _unfit(dims):
                yield Found(
                    said="a dimension should be 1 or more, or -1 for any size",
                    at=f"{place}.{name}[{number}]",
                )


@rule("TEN105", "refused", is_lasting=True)
def reshaped_to_nothing(config: Config) -> Iterator[Found]:
    """Without a batch no tensor is reshaped to one without dimensions.

    The server has no scalars; with a batch such a tensor is a value a row.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateIOShape).
    Remedy: take reshape out, or write max_batch_size where the model takes a batch.
    """
    for place, entry in _reshaped(config):
        if not entry.reshape.shape and config.message.max_batch_size == 0:
            yield Found(
                said="without a batch a tensor cannot be reshaped to nothing", at=f"{place}.reshape"
            )


@rule("TEN106", "refused", is_lasting=True)
def reshaped_whole(config: Config) -> Iterator[Found]:
    """Dims and reshape have as many elements, and as many between dynamic dimensions.

    The server hands the same memory on in another shape, and each -1 is the size of one.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateIOShape).
    Remedy: write a shape of as many elements.
    """
    for place, entry in _reshaped(config):
        nothing = not entry.reshape.shape and config.message.max_batch_size == 0
        if not nothing and _trunks(entry.dims) != _trunks(entry.reshape.shape):
            yield Found(
                said=f"{shown(entry.dims)} cannot become {shown(entry.reshape.shape)}: both should"
                " have as many elements between their dynamic dimensions",
                at=f"{place}.reshape",
            )


def _trunks(dims: Iterable[int]) -> list[int]:
    """Count the elements of each run of fixed dimensions, as dynamic ones part them.

    The server counts in 64 bits, and so does this.
    """
    runs = [1]
    for dim in dims:
        if dim == -1:
            runs.append(1)
        else:
            runs[-1] = runs[-1] * dim % 2**64
    return runs


@rule("TEN107", "refused", is_lasting=True)
def laid_out(config: Config) -> Iterator[Found]:
    """An input of format NHWC or NCHW has 3 dims, without the batch.

    The letters behind N name three dimensions, and the server counts them.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelInput).
    Remedy: take format out; the ONNX Runtime backend does not read it.
    """
    for place, entry in told_apart("input", config.message.input):
        form = value_of(entry, "format")
        if form in _LAID_OUT and len(entry.dims) != 3:
            yield Found(
                said=f"{form} needs 3 dims, without the batch, not {len(entry.dims)}",
                at=f"{place}.format",
            )


@rule("TEN108", "refused", is_lasting=True)
def of_tensorrt(config: Config) -> Iterator[Found]:
    """Shape tensors and tensors of another layout are of the TensorRT backend.

    Both are of TensorRT's engines, and the server takes them for platform tensorrt_plan only.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelInput,
    ValidateModelOutput).
    Remedy: take it out.
    """
    if config.backend == "tensorrt":
        return
    for place, entry in _tensors(config):
        for name in ("is_shape_tensor", "is_non_linear_format_io"):
            if getattr(entry, name):
                at = f"{place}.{name}"
                yield Found(
                    said="only the TensorRT backend takes it: leave it out",
                    at=at,
                    changes=(Change(path=at, value=None),),
                )


@rule("TEN109", "refused")
def taken_types(config: Config) -> Iterator[Found]:
    """The release's ONNX Runtime backend takes the type of each tensor.

    TYPE_BF16 is newer than the others.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime_utils.cc`, by release.
    Remedy: choose a newer release, or export the model with another type.
    """
    if not config.is_onnx:
        return
    for place, entry in _tensors(config):
        name = value_of(entry, "data_type")
        since = knobs.sinces("data_types").get(name)
        if not knobs.begun(since, config.release):
            yield Found(
                said=f"the ONNX Runtime backend takes {name} since {since}, not yet in"
                f" {config.release.tag}",
                at=f"{place}.data_type",
            )
