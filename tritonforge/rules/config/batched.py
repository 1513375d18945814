"""Rules of tensors that the server makes of a batch, or scatters over its requests."""

from collections.abc import Iterator
from typing import Any

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
    for place, entry in _entries(config):
        for number, name in enumerate(entry.source_input):
            if name not in inputs:
                yield Found(
                    said=f"there is no input {name!r}{near(name, inputs)}",
                    at=f"{place}.source_input[{number}]",
                )


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
    for place, entry in enumerate(config.message.batch_output):
        for number, name in enumerate(entry.target_name):
            if name not in outputs:
                yield Found(
                    said=f"there is no output {name!r}{near(name, outputs)}",
                    at=f"batch_output[{place}].target_name[{number}]",
                )


@rule("TEN125", "refused", is_lasting=True)
def one_scatter(config: Config) -> Iterator[Found]:
    """An output is scattered once.

    Two entries would each say how its rows are shared out over the requests.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateBatchIO).
    Remedy: name it once.
    """
    seen = set()
    for place, entry in enumerate(config.message.batch_output):
        for number, name in enumerate(entry.target_name):
            if name in seen:
                yield Found(
                    said=f"{name!r} is listed twice",
                    at=f"batch_output[{place}].target_name[{number}]",
                )
            seen.add(name)
