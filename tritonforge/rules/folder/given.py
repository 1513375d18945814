"""Rules of the files of data that a config names: for samples of a warm-up, and for states."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tritonforge import pbtxt
from tritonforge.errors import SpecError
from tritonforge.pbtxt import dtype
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.pbtxt.fitting.completing import DEFAULT_BATCH
from tritonforge.rules.places import keyed, several, shown, value_of
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model
from tritonforge.tensors import DType

_MOST = 2**62
_UNSIZED = 4  # what the server counts for an element of no type


def _warmups(model: Model) -> Iterator[tuple[str, Any, Path]]:
    """Yield what is read from a file for samples: place, data and file."""
    if model.config is None:
        return
    for place, sample in told_apart("model_warmup", model.config.message.model_warmup):
        for name in sorted(sample.inputs) if sample.batch_size else ():
            given = sample.inputs[name]
            if given.WhichOneof("input_data_type") == "input_data_file":
                at = f"{keyed(f'{place}.inputs', name)}.input_data_file"
                yield at, given, _beside(model, "warmup", given.input_data_file)


def _states(model: Model) -> Iterator[tuple[str, Any, Path]]:
    """Yield what is read from a file for states: place, data and file."""
    if model.config is None:
        return
    for number, state in enumerate(model.config.message.sequence_batching.state):
        for each in state.initial_state[:1]:
            if each.WhichOneof("state_data") == "data_file":
                at = f"sequence_batching.state[{number}].initial_state[0].data_file"
                yield at, each, _beside(model, "initial_state", each.data_file)


def _beside(model: Model, folder: str, name: str) -> Path:
    """Return the path of a file as the server joins it: also what begins with a slash."""
    return model.path / folder / name.replace("\0", "").lstrip("/")


def _missing(files: Iterator[tuple[str, Any, Path]]) -> Iterator[Found]:
    """Yield the files that are not there."""
    for place, _, path in files:
        if _size(path) is None:
            yield Found(said=f"there is no file {path.parent.name}/{path.name}", at=place)


def _short(files: Iterator[tuple[str, Any, Path]]) -> Iterator[Found]:
    """Yield the files that hold less than is asked of them."""
    for place, given, path in files:
        size, wanted = _size(path), _bytes(given)
        if size is not None and size < wanted:
            yield Found(
                said=f"{path.name} holds {several(size, 'byte')}, and"
                f" {value_of(given, 'data_type')} {shown(given.dims)} needs {wanted}",
                at=place,
            )


def _size(path: Path) -> int | None:
    """Return the size of a file, None where there is none."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _bytes(given: Any) -> int:
    """Return how many bytes data takes; texts are as long as they are."""
    try:
        kind = dtype(given.data_type)
    except (SpecError, ValueError):
        return 0 if given.data_type else _elements(given.dims) * _UNSIZED
    return 0 if kind is DType.BYTES else _elements(given.dims) * kind.numpy.itemsize


def _elements(dims: Sequence[int]) -> int:
    """Count elements as far as a file may hold them; none where a size is no size."""
    count = 1
    for dim in dims:
        count = min(count * max(dim, 0), _MOST)
    return count


@rule("WRM121", "refused")
def data_of_samples(model: Model) -> Iterator[Found]:
    """The file of a sample's data lies in the model's folder warmup.

    The server reads it when it loads the model.

    Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData).
    Remedy: put the file there, or write zero_data: true or random_data: true instead.
    """
    yield from _missing(_warmups(model))


@rule("WRM122", "refused")
def enough_for_samples(model: Model) -> Iterator[Found]:
    """The file of a sample's data holds as many bytes as its dims and type take.

    It is read from the beginning; what is beyond is left.

    Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData).
    Remedy: mend the file, the dims or the data_type.
    """
    yield from _short(_warmups(model))


@rule("WRM123", "refused")
def batch_of_what_is_completed(model: Model) -> Iterator[Found]:
    """A sample is of one row where the server completes a model that cannot batch.

    It gives max_batch_size 4 to one that can, and leaves 0 to others.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (AutoCompleteMaxBatch,
    ProcessRequests).
    Remedy: write batch_size: 1.
    """
    if model.config is None or model.config.message.max_batch_size:
        return
    fixed = any(not each.served.max_batch_size for each in model.contents)
    if fixed and not pbtxt.is_complete(model.config.message):
        for place, sample in told_apart("model_warmup", model.config.message.model_warmup):
            if 1 < sample.batch_size <= DEFAULT_BATCH:  # WRM101 tells of larger ones
                said = f"{sample.batch_size} should be 1: the model cannot batch"
                yield Found(said=said, at=f"{place}.batch_size")


@rule("SEQ121", "refused")
def data_of_states(model: Model) -> Iterator[Found]:
    """The file of what a state begins as lies in the model's folder initial_state.

    The server reads it when it loads the model.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc` (GenerateInitialStateData).
    Remedy: put the file there, or write zero_data: true instead.
    """
    yield from _missing(_states(model))


@rule("SEQ122", "refused")
def enough_for_states(model: Model) -> Iterator[Found]:
    """The file of what a state begins as holds as many bytes as its dims and type take.

    It is read from the beginning; what is beyond is left.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc` (GenerateInitialStateData).
    Remedy: mend the file, the dims or the data_type.
    """
    yield from _short(_states(model))
