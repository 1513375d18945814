"""Rules of the requests that warm a model up: one that fails keeps it from being ready."""

from collections.abc import Iterator
from typing import Any

from tritonforge import pbtxt
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.pbtxt.fitting.completing import DEFAULT_BATCH
from tritonforge.rules.config.accelerators import parameters
from tritonforge.rules.places import keyed, near, shown, value_of
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config


def _samples(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the samples that the server runs, with their places; an ensemble has none."""
    if config.message.HasField("ensemble_scheduling"):
        return
    for place, sample in told_apart("model_warmup", config.message.model_warmup):
        if sample.batch_size:
            yield place, sample


def _given(config: Config) -> Iterator[tuple[str, str, Any]]:
    """Yield what is given to inputs: place, name of the input, and data."""
    for place, sample in _samples(config):
        for name in sorted(sample.inputs):
            yield keyed(f"{place}.inputs", name), name, sample.inputs[name]


def _fitted(config: Config) -> Iterator[tuple[str, Any, Any]]:
    """Yield what is given to inputs that the config lists: place, data and the input."""
    if pbtxt.is_complete(config.message):
        inputs = {each.name: each for each in config.message.input}
        yield from (
            (at, given, inputs[name]) for at, name, given in _given(config) if name in inputs
        )


def _most(config: Config) -> int | None:
    """Return how large a sample may be; None where a backend tells it from the model's file."""
    most: int = config.message.max_batch_size
    if not most and not pbtxt.is_complete(config.message):
        return DEFAULT_BATCH if config.is_onnx else None
    return max(1, most)


@rule("WRM101", "refused", is_lasting=True)
def batch_of_a_sample(config: Config) -> Iterator[Found]:
    """A sample is no larger than max_batch_size.

    It is a request like any other, and one that fails keeps the model from being ready.

    Source: triton-inference-server/core, `infer_request.cc` (Normalize).
    Remedy: lower its batch_size; count says how often a sample runs.
    """
    most = _most(config)
    for place, sample in _samples(config):
        if most is not None and sample.batch_size > most:
            yield Found(said=f"{sample.batch_size} should be 1 to {most}", at=f"{place}.batch_size")


@rule("WRM102", "refused", is_lone=True, is_lasting=True)
def sizes_of_a_sample(config: Config) -> Iterator[Found]:
    """The dims of a sample's data are sizes.

    The server makes the data, so it must know how much.

    Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData).
    Remedy: write a size for each dynamic dimension.
    """
    for place, _, given in _given(config):
        if any(dim < 1 for dim in given.dims):
            yield Found(
                said=f"{shown(given.dims)} should be sizes of 1 or more each", at=f"{place}.dims"
            )


@rule("WRM103", "refused", is_lasting=True)
def data_of_a_sample(config: Config) -> Iterator[Found]:
    """A sample says what an input is filled with.

    The server makes up nothing, and does not load the model.

    Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData).
    Remedy: write zero_data: true, random_data: true, or input_data_file with a name in warmup/.
    """
    for place, _, given in _given(config):
        if given.WhichOneof("input_data_type") is None:
            yield Found(said="it should have zero_data, random_data or input_data_file", at=place)


@rule("WRM104", "refused", is_lasting=True)
def known_inputs(config: Config) -> Iterator[Found]:
    """A sample gives data to inputs of the model.

    It is a request like any other, and one that fails keeps the model from being ready.

    Source: triton-inference-server/core, `infer_request.cc` (Normalize).
    Remedy: mend the name, or take the input out.
    """
    message = config.message
    if not pbtxt.is_complete(message):  # the file may have other inputs
        return
    listed = [each.name for each in message.input]
    special = {each.name for each in message.sequence_batching.control_input}
    special |= {each.input_name for each in message.sequence_batching.state}
    for place, name, _ in _given(config):
        if name not in listed and name not in special:
            yield Found(said=f"the model has no input {name!r}{near(name, listed)}", at=place)


@rule("WRM105", "refused", is_lasting=True)
def every_input(config: Config) -> Iterator[Found]:
    """A sample gives data to every input that is not optional.

    It is a request like any other, and one that fails keeps the model from being ready.

    Source: triton-inference-server/core, `infer_request.cc` (Normalize).
    Remedy: add the input to the sample.
    """
    message = config.message
    if not pbtxt.is_complete(message):
        return
    for place, sample in _samples(config):
        for entry in message.input:
            if entry.name not in sample.inputs and not entry.optional:
                yield Found(
                    said=f"the input {entry.name!r} of the model is missing", at=f"{place}.inputs"
                )


@rule("WRM106", "refused", is_lasting=True)
def type_of_a_sample(config: Config) -> Iterator[Found]:
    """A sample's data has the type of the input.

    It is a request like any other, and one that fails keeps the model from being ready.

    Source: triton-inference-server/core, `infer_request.cc` (Normalize).
    Remedy: write the input's data_type.
    """
    for place, given, entry in _fitted(config):
        if given.data_type != entry.data_type:
            found, want = value_of(given, "data_type"), value_of(entry, "data_type")
            yield Found(said=f"{found} should be {want}, as of the input", at=f"{place}.data_type")


@rule("WRM107", "refused", is_lasting=True)
def dims_of_a_sample(config: Config) -> Iterator[Found]:
    """A sample's data has the dims of the input, without the batch.

    They are those of a request, also where the input is reshaped.

    Source: triton-inference-server/core, `infer_request.cc` (Normalize).
    Remedy: write the input's dims, with a size for each -1.
    """
    for place, given, entry in _fitted(config):
        same = len(given.dims) == len(entry.dims)
        if any(dim < 1 for dim in given.dims):
            continue  # which WRM102 tells
        if not same or any(
            want not in {-1, have} for have, want in zip(given.dims, entry.dims, strict=True)
        ):
            yield Found(
                said=f"{shown(given.dims)} should fit {shown(entry.dims)}, the dims of the input",
                at=f"{place}.dims",
            )


@rule("WRM201", "wrong", is_lasting=True)
def samples_run(config: Config) -> Iterator[Found]:
    """A sample has a batch_size of 1 or more, also where the model does not batch.

    The server passes over one without.

    Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData).
    Remedy: write batch_size: 1.
    """
    for place, sample in told_apart("model_warmup", config.message.model_warmup):
        if not sample.batch_size:
            yield Found(said="a sample of batch_size 0 is not run", at=f"{place}.batch_size")


@rule("WRM108", "refused")
def samples_without_states(config: Config) -> Iterator[Found]:
    """A model with states is not warmed up.

    A sample belongs to no sequence, so it has no state to run with, and the server may end itself.

    Source: triton-inference-server/core, `backend_model_instance.cc` (WarmUp), `backend_model.cc`
    (TRITONBACKEND_StateNew).
    Remedy: take model_warmup out.
    """
    if config.is_onnx and config.message.sequence_batching.state:
        for place, _ in _samples(config):
            yield Found(said="a sample belongs to no sequence, and has no state", at=place)


@rule("WRM109", "refused")
def every_control(config: Config) -> Iterator[Found]:
    """A sample gives data to the controls of sequences.

    It belongs to no sequence, so the server does not fill them in, and the model lacks an input.

    Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData).
    Remedy: add the control to the sample, with dims: [ 1 ].
    """
    controls = [
        each.name for each in config.message.sequence_batching.control_input if each.control
    ]
    for place, sample in _samples(config):
        for name in controls:
            if config.is_onnx and name and name not in sample.inputs:
                yield Found(said=f"the control {name!r} is missing", at=f"{place}.inputs")


@rule("WRM110", "refused")
def dims_of_a_control(config: Config) -> Iterator[Found]:
    """A sample gives a control the dims [ 1 ].

    That is how the server gives it to requests.

    Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData).
    Remedy: write dims: [ 1 ].
    """
    controls = {
        each.name for each in config.message.sequence_batching.control_input if each.control
    }
    for place, name, given in _given(config):
        if config.is_onnx and name in controls and list(given.dims) != [1]:
            yield Found(said=f"{shown(given.dims)} should be [1]", at=f"{place}.dims")


@rule("WRM301", "advice")
def engines_before_requests(config: Config) -> Iterator[Found]:
    """A model that TensorRT runs is warmed up.

    Engines are built when shapes first come, which takes minutes; a request waits for it that came
    before a sample.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`; triton-inference-server/core,
    `backend_model_instance.cc` (WarmUp).
    Remedy: add model_warmup with the shapes that requests have.
    """
    message = config.message
    if not message.model_warmup and not message.sequence_batching.state:
        for place, _ in parameters(config, "tensorrt"):
            yield Found(
                said="without model_warmup the first requests wait for engines",
                at=place.removesuffix(".parameters"),
            )
