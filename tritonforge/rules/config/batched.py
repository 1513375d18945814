"""Rules of tensors that the server makes of a batch, or scatters over its requests."""

from collections.abc import Iterator, Sequence
from typing import Any

from tritonforge import pbtxt
from tritonforge.rules.places import near, value_of
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

_TYPES = ("TYPE_INT32", "TYPE_FP32")


def _entries(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield what is made of a batch and what is scattered, with their places."""
    for kind in ("batch_input", "batch_output"):
        for number, entry in enumerate(getattr(config.message, kind)):
            yield f"{kind}[{number}]", entry


@rule("TEN121", "refused", is_lasting=True)
def one_source(config: Config) -> Iterator[Found]:
    """A tensor of a batch is made of one input.

    The server counts the elements, or reads the shapes, of that input's requests.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateBatchIO).
    Remedy: name one input of the model as source_input.
    """
    for place, entry in _entries(config):
        if len(entry.source_input) != 1:
            yield Found(
                said=f"it should be one input, not {len(entry.source_input)}",
                at=f"{place}.source_input",
            )


@rule("TEN122", "refused", is_lasting=True)
def known_source(config: Config) -> Iterator[Found]:
    """The source of a tensor of a batch is an input that the config lists.

    The server looks it up there, not in the model's file.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateBatchIO).
    Remedy: mend the name, or list the input.
    """
    inputs = [each.name for each in config.message.input]
    if not inputs and not pbtxt.is_complete(config.message):  # the backend lists those of the file
        return
    for place, entry in _entries(config):
        yield from _unlisted("input", entry.source_input, inputs, f"{place}.source_input")


@rule("TEN123", "refused", is_lone=True, is_lasting=True)
def type_of_a_batch(config: Config) -> Iterator[Found]:
    """A tensor made of a batch is of TYPE_INT32 or TYPE_FP32.

    The server fills it in with counts and sizes, and can write these two.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateBatchIO).
    Remedy: write one of them, and export the model with it.
    """
    for number, entry in enumerate(config.message.batch_input):
        name = value_of(entry, "data_type")
        if name not in _TYPES:
            yield Found(
                said=f"{name} should be {' or '.join(_TYPES)}",
                at=f"batch_input[{number}].data_type",
            )


@rule("TEN124", "refused", is_lasting=True)
def known_target(config: Config) -> Iterator[Found]:
    """The target of a scattered tensor is an output that the config lists.

    The server looks it up there, not in the model's file.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateBatchIO).
    Remedy: mend the name, or list the output.
    """
    outputs = [each.name for each in config.message.output]
    if not outputs:  # the backend lists those of the file
        return
    for place, entry in enumerate(config.message.batch_output):
        at = f"batch_output[{place}].target_name"
        yield from _unlisted("output", entry.target_name, outputs, at)


def _unlisted(kind: str, names: Sequence[str], listed: Sequence[str], at: str) -> Iterator[Found]:
    """Yield the names of a field that no tensor of the config has."""
    for number, name in enumerate(names):
        if name not in listed:
            said = f"there is no {kind} {name!r}{near(name, listed)}"
            yield Found(said=said, at=f"{at}[{number}]")


@rule("TEN125", "refused", is_lasting=True)
def one_scatter(config: Config) -> Iterator[Found]:
    """An entry scatters an output once.

    A name that is there twice says nothing.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateBatchIO).
    Remedy: name it once.
    """
    for place, entry in enumerate(config.message.batch_output):
        seen = set()
        for number, name in enumerate(entry.target_name):
            if name in seen:
                yield Found(
                    said=f"{name!r} is listed twice",
                    at=f"batch_output[{place}].target_name[{number}]",
                )
            seen.add(name)


@rule("TEN126", "refused", is_lone=True, is_lasting=True)
def known_kind(config: Config) -> Iterator[Found]:
    """The kind of a tensor of a batch is one that has a name.

    A number that stands for none is read, and refused.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateBatchIO).
    Remedy: write one of the names, such as BATCH_ELEMENT_COUNT.
    """
    for place, entry in _entries(config):
        if value_of(entry, "kind").isdigit() or entry.kind < 0:
            yield Found(said=f"there is no kind {entry.kind}", at=f"{place}.kind")


@rule("TEN127", "refused", is_lone=True, is_lasting=True)
def some_target(config: Config) -> Iterator[Found]:
    """What is scattered over requests names an output.

    The server ends itself where there is none.

    Source: triton-inference-server/backend, `backend_common.cc`
    (BatchOutput::ParseFromModelConfig).
    Remedy: write target_name.
    """
    for number, entry in enumerate(config.message.batch_output):
        if not entry.target_name:
            yield Found(
                said="without an output to scatter the server ends itself",
                at=f"batch_output[{number}].target_name",
            )


@rule("TEN128", "refused")
def named_batch(config: Config) -> Iterator[Found]:
    """A tensor made of a batch has a name.

    It is an input of the model, which ONNX Runtime's backend fills in.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: write target_name, the name of the model's input.
    """
    for number, entry in enumerate(config.message.batch_input):
        if config.is_onnx and not entry.target_name:
            yield Found(
                said="it needs the name of an input", at=f"batch_input[{number}].target_name"
            )
