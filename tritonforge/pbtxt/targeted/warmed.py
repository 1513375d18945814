"""Whether the requests that warm a model up can be run: one that fails keeps it from being ready.

Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData, WarmUp).
"""

from collections.abc import Iterator
from typing import Any

from tritonforge.pbtxt.asking import is_complete
from tritonforge.pbtxt.targeted.fault import Fault, error, ignored, near, told_apart, value_of


def warmup(message: Any) -> Iterator[Fault]:
    """Yield what is wrong of the samples of `model_warmup`."""
    for place, sample in told_apart("model_warmup", message.model_warmup):
        if sample.batch_size == 0:
            yield ignored(f"{place}.batch_size", "a sample of batch_size 0 is not run")
            continue
        most = max(1, message.max_batch_size)
        if sample.batch_size > most:
            yield error(f"{place}.batch_size", f"{sample.batch_size} should be 1 to {most}")
        for name in sorted(sample.inputs):
            yield from _filled(f"{place}.inputs.{name}", sample.inputs[name])
        if is_complete(message):  # else the file may have other inputs
            yield from _known(place, sample, message)


def _filled(path: str, given: Any) -> Iterator[Fault]:
    """Yield what keeps the server from making the data."""
    if any(dim < 1 for dim in given.dims):
        yield error(
            f"{path}.dims", f"{list(given.dims)} should be sizes of 1 or more each", is_lone=True
        )
    if given.WhichOneof("input_data_type") is None:
        yield error(path, "it should have zero_data, random_data or input_data_file")


def _known(place: str, sample: Any, message: Any) -> Iterator[Fault]:
    """Yield where a sample's inputs are not those of the model."""
    batching = message.sequence_batching
    inputs = {each.name: each for each in message.input}
    special = {each.name for each in batching.control_input}
    special |= {each.input_name for each in batching.state}
    for name in sorted(sample.inputs):
        path, given = f"{place}.inputs.{name}", sample.inputs[name]
        if name in inputs:
            yield from _fitting(path, given, inputs[name])
        elif name not in special:
            yield error(path, f"the model has no input {name!r}{near(name, inputs)}")
    for name, entry in inputs.items():
        if name not in sample.inputs and not entry.optional:
            yield error(f"{place}.inputs", f"the input {name!r} of the model is missing")


def _fitting(path: str, given: Any, entry: Any) -> Iterator[Fault]:
    """Yield where what an input is given is not what it takes."""
    if given.data_type != entry.data_type:
        found, want = value_of(given, "data_type"), value_of(entry, "data_type")
        yield error(f"{path}.data_type", f"{found} should be {want}, as of the input")
    same = len(given.dims) == len(entry.dims)
    if not same or any(
        want not in {-1, have} for have, want in zip(given.dims, entry.dims, strict=True)
    ):
        yield error(
            f"{path}.dims",
            f"{list(given.dims)} should fit {list(entry.dims)}, the dims of the input",
        )
