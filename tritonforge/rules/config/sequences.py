"""Rules of sequence batching: its control tensors and its strategy."""

from collections.abc import Iterator
from typing import Any

from tritonforge import pbtxt
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.rules.config.batching import unfit_sizes
from tritonforge.rules.places import keyed, value_of
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

_CORRELATION = "CONTROL_SEQUENCE_CORRID"
_CORRELATION_TYPES = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
_STRATEGY = "TRITON_BATCH_STRATEGY_PATH"
_PAIRS = ("int32_false_true", "fp32_false_true", "bool_false_true")


def _inputs(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the control tensors with their places."""
    return told_apart(
        "sequence_batching.control_input", config.message.sequence_batching.control_input
    )


def _controls(config: Config) -> Iterator[tuple[str, str, Any]]:
    """Yield the controls of all tensors: place, kind, and what is said.

    The server passes over a kind that has no name.
    """
    for place, entry in _inputs(config):
        for number, control in enumerate(entry.control):
            kind = value_of(control, "kind")
            if kind.startswith("CONTROL_"):
                yield f"{place}.control[{number}]", kind, control


@rule("SEQ101", "refused", is_lasting=True)
def named_controls(config: Config) -> Iterator[Found]:
    """A control tensor has a name.

    It is an input of the model, which the server fills in.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (GetBooleanSequenceControlProperties).
    Remedy: write the name of the model's input.
    """
    for place, entry in _inputs(config):
        if not entry.name:
            yield Found(said="a control tensor needs a name", at=place)


@rule("SEQ102", "refused", is_lasting=True)
def one_entry_a_tensor(config: Config) -> Iterator[Found]:
    """A control tensor is listed once.

    The server takes a second entry of a name for a contradiction.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (GetBooleanSequenceControlProperties).
    Remedy: name another tensor, or take one entry out.
    """
    seen = set()
    for place, entry in _inputs(config):
        if entry.name and entry.name in seen:
            yield Found(
                said=f"{entry.name} is listed twice: put its controls into one entry", at=place
            )
        seen.add(entry.name)


@rule("SEQ103", "refused", is_lasting=True)
def one_tensor_a_control(config: Config) -> Iterator[Found]:
    """A kind of control is given to one tensor.

    The server fills in one tensor by kind, and does not choose between two.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (GetBooleanSequenceControlProperties).
    Remedy: leave it to one of them.
    """
    seen = set()
    for place, kind, _ in _controls(config):
        if kind in seen:
            yield Found(said=f"{kind} is given to several tensors", at=place)
        seen.add(kind)


@rule("SEQ104", "refused", is_lasting=True)
def one_pair_of_values(config: Config) -> Iterator[Found]:
    """A control but the correlation id has one pair of values, for false and for true.

    Its type is that of the tensor: int32, fp32 or bool.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (GetBooleanSequenceControlProperties).
    Remedy: write one of int32_false_true, fp32_false_true and bool_false_true, as [ 0, 1 ].
    """
    for place, kind, control in _controls(config):
        given = [name for name in _PAIRS if len(getattr(control, name))]
        if kind != _CORRELATION and len(given) != 1:
            found = " and ".join(given) or "none"
            yield Found(said=f"{kind} needs one of {', '.join(_PAIRS)}, and has {found}", at=place)


@rule("SEQ105", "refused", is_lasting=True)
def values_for_both(config: Config) -> Iterator[Found]:
    """A control's values are two: for false, and for true.

    The server writes the first where the control is off, the second where it is on.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (GetBooleanSequenceControlProperties).
    Remedy: write two values, as [ 0, 1 ].
    """
    for place, kind, control in _controls(config):
        given = [name for name in _PAIRS if len(getattr(control, name))]
        if kind != _CORRELATION and len(given) == 1 and len(getattr(control, given[0])) != 2:
            yield Found(
                said="it should be two values: for false, and for true", at=f"{place}.{given[0]}"
            )


@rule("SEQ106", "refused", is_lasting=True)
def type_of_a_correlation_id(config: Config) -> Iterator[Found]:
    """A correlation id is a number of 32 or 64 bits, or a text.

    The server copies the id of the request's sequence, which is one of these.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: write the data_type of the model's input.
    """
    for place, kind, control in _controls(config):
        name = value_of(control, "data_type")
        if kind == _CORRELATION and name not in _CORRELATION_TYPES:
            yield Found(
                said=f"{name} should be {' or '.join(_CORRELATION_TYPES)}", at=f"{place}.data_type"
            )


@rule("SEQ107", "refused", is_lasting=True)
def correlation_id_without_values(config: Config) -> Iterator[Found]:
    """A correlation id has no values for false and true.

    It is copied from the request, and is neither true nor false.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (GetTypedSequenceControlProperties).
    Remedy: take them out, and write a data_type.
    """
    for place, kind, control in _controls(config):
        given = [name for name in _PAIRS if len(getattr(control, name))]
        if kind == _CORRELATION and given:
            yield Found(
                said="a correlation id takes a data_type, no values", at=f"{place}.{given[0]}"
            )


@rule("SEQ108", "refused", is_lasting=True)
def preferred_sizes_of_the_oldest(config: Config) -> Iterator[Found]:
    """Preferred batch sizes of the strategy oldest lie within 1 and max_batch_size.

    The server compares each with max_batch_size, also where that is 0, and does not load the model.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: leave the size out, or raise max_batch_size.
    """
    message = config.message
    yield from unfit_sizes(
        message.sequence_batching.oldest.preferred_batch_size,
        "sequence_batching.oldest.preferred_batch_size",
        message.max_batch_size,
    )


@rule("SEQ109", "refused", is_lone=True, is_lasting=True)
def share_of_slots(config: Config) -> Iterator[Found]:
    """minimum_slot_utilization is 0 to 1.

    It is the share of slots that should be taken before a batch runs.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: write a share, such as 0.5.
    """
    used = config.message.sequence_batching.direct.minimum_slot_utilization
    if used < 0.0 or used > 1.0:  # the server takes what is no number
        yield Found(
            said=f"{used:g} should be 0 to 1",
            at="sequence_batching.direct.minimum_slot_utilization",
        )


@rule("SEQ110", "refused", is_lasting=True)
def sequences_without_a_library(config: Config) -> Iterator[Found]:
    """A model with sequence batching has no library for batching.

    The library says which requests the dynamic batcher puts together, and sequences have their own.

    Source: triton-inference-server/core, `backend_model.cc` (SetBatchingStrategy).
    Remedy: take the parameter TRITON_BATCH_STRATEGY_PATH out.
    """
    message = config.message
    if message.HasField("sequence_batching") and _STRATEGY in message.parameters:
        yield Found(
            said="with sequence_batching there is no library for batching",
            at=keyed("parameters", _STRATEGY),
        )


@rule("SEQ120", "refused")
def kinds_of_controls(config: Config) -> Iterator[Found]:
    """The kind of a control is one that has a name.

    The server passes over a number that stands for none, and the backend of ONNX Runtime looks for
    a name in its place.

    Source: triton-inference-server/backend, `backend_common.cc`
    (GetBooleanSequenceControlProperties, GetTypedSequenceControlProperties).
    Remedy: write CONTROL_SEQUENCE_START, _END, _READY or _CORRID.
    """
    for place, entry in _inputs(config):
        for number, control in enumerate(entry.control):
            if config.is_onnx and not value_of(control, "kind").startswith("CONTROL_"):
                at = f"{place}.control[{number}].kind"
                yield Found(said=f"there is no kind {control.kind}", at=at)


@rule("SEQ201", "wrong", is_lasting=True)
def delay_for_a_batch(config: Config) -> Iterator[Found]:
    """Sequences wait for others where a batch has room for them.

    With a max_batch_size below 2 there are no others to wait for.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc`.
    Remedy: raise max_batch_size where the model takes a batch, else take the delay out.
    """
    message = config.message
    if message.max_batch_size not in {0, 1} or not pbtxt.is_complete(message):
        return
    for name in ("direct", "oldest"):
        if getattr(message.sequence_batching, name).max_queue_delay_microseconds:
            yield Found(
                said=f"with max_batch_size {message.max_batch_size} nothing batches",
                at=f"sequence_batching.{name}.max_queue_delay_microseconds",
            )
