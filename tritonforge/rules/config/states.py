"""Rules of the states that the server keeps for sequences, and of what they begin as."""

from collections.abc import Iterator
from typing import Any

from tritonforge.rules.places import shown, value_of
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Config


def _states(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the states with their places."""
    for number, state in enumerate(config.message.sequence_batching.state):
        yield f"sequence_batching.state[{number}]", state


def _initial(config: Config) -> Iterator[tuple[str, Any, Any]]:
    """Yield what a state begins as: place, itself and its state."""
    for place, state in _states(config):
        if len(state.initial_state) == 1:
            yield f"{place}.initial_state[0]", state.initial_state[0], state


@rule("SEQ112", "refused")
def one_state_an_input(config: Config) -> Iterator[Found]:
    """An input of ONNX Runtime holds one state.

    The backend counts the inputs, and the model has fewer.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: take one of the entries out.
    """
    seen = set()
    for place, state in _states(config):
        if config.is_onnx and state.input_name and state.input_name in seen:
            yield Found(said=f"{state.input_name!r} is a state twice", at=f"{place}.input_name")
        seen.add(state.input_name)


@rule("SEQ113", "refused")
def filled_in_by_the_server(config: Config) -> Iterator[Found]:
    """What the server fills in is not listed as an input.

    A request brings what is listed. Of ONNX Runtime the backend counts states and controls besides,
    and the model has fewer.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: take the input out of the list.
    """
    if not config.is_onnx:
        return
    message = config.message
    states = {each.input_name: "a state" for each in message.sequence_batching.state}
    controls = {
        each.name: "a control" for each in message.sequence_batching.control_input if each.control
    }
    filled = {**states, **controls}
    for number, entry in enumerate(message.input):
        if entry.name and entry.name in filled:
            place = f"input[{number}]"
            yield Found(
                said=f"{entry.name!r} is {filled[entry.name]}, which the server fills in",
                at=place,
                changes=(Change(path=place, value=None),),
            )


@rule("SEQ115", "refused", is_lasting=True)
def one_beginning(config: Config) -> Iterator[Found]:
    """A state begins as one thing.

    The server takes one initial_state, or none for zeros.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc` (Create).
    Remedy: take the others out.
    """
    for place, state in _states(config):
        if len(state.initial_state) > 1:
            yield Found(
                said=f"a state begins as one thing, not {len(state.initial_state)}",
                at=f"{place}.initial_state[1]",
            )


@rule("SEQ116", "refused", is_lasting=True)
def type_of_a_beginning(config: Config) -> Iterator[Found]:
    """What a state begins as has the state's type.

    The server copies it as it is.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc` (GenerateInitialStateData).
    Remedy: write the state's data_type.
    """
    for place, begun, state in _initial(config):
        if begun.data_type != state.data_type:
            found, want = value_of(begun, "data_type"), value_of(state, "data_type")
            yield Found(said=f"{found} should be {want}, as of the state", at=f"{place}.data_type")


@rule("SEQ117", "refused", is_lasting=True)
def named_beginning(config: Config) -> Iterator[Found]:
    """What a state begins as has a name.

    The server asks for one, whichever it is.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc` (GenerateInitialStateData).
    Remedy: write a name.
    """
    for place, begun, _ in _initial(config):
        if not begun.name:
            yield Found(said="it needs a name", at=f"{place}.name")


@rule("SEQ118", "refused", is_lasting=True)
def dims_of_a_beginning(config: Config) -> Iterator[Found]:
    """What a state begins as has the state's dims, with a size for each -1.

    The server makes the data, so it must know how much.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc` (GenerateInitialStateData).
    Remedy: write the state's dims, with a size for each -1.
    """
    for place, begun, state in _initial(config):
        same = len(begun.dims) == len(state.dims)
        if not same or any(
            have == -1 or want not in {-1, have}
            for have, want in zip(begun.dims, state.dims, strict=True)
        ):
            yield Found(
                said=f"{shown(begun.dims)} should fit {shown(state.dims)}, the dims of the state",
                at=f"{place}.dims",
            )


@rule("SEQ119", "refused", is_lasting=True)
def data_of_a_beginning(config: Config) -> Iterator[Found]:
    """What a state begins as says what it is filled with.

    The server makes up nothing, and does not load the model.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc` (GenerateInitialStateData).
    Remedy: write zero_data: true, or data_file with a name in initial_state/.
    """
    for place, begun, _ in _initial(config):
        if begun.WhichOneof("state_data") is None:
            yield Found(said="it should have zero_data or data_file", at=place)


@rule("SEQ202", "wrong")
def named_states(config: Config) -> Iterator[Found]:
    """A state of ONNX Runtime names an input and an output of the model.

    What the model gives at one step it takes at the next. The backend means to compare them, but
    its condition is the wrong way round: the model loads, and each of its requests fails.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateOutputs).
    Remedy: write input_name and output_name.
    """
    for place, state in _states(config):
        for field in ("input_name", "output_name"):
            if config.is_onnx and not getattr(state, field):
                what = field.removesuffix("_name")
                yield Found(said=f"a state needs the name of an {what}", at=f"{place}.{field}")


@rule("SEQ203", "wrong")
def typed_states(config: Config) -> Iterator[Found]:
    """A state of ONNX Runtime has a data_type.

    The backend means to compare it with the model's and does not: the model loads, and each of its
    requests fails.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateOutputs).
    Remedy: write the type that the model has, such as TYPE_FP32.
    """
    for place, state in _states(config):
        given = value_of(state, "data_type")
        if config.is_onnx and (given == "TYPE_INVALID" or not given.startswith("TYPE_")):
            yield Found(said="a state needs a data_type", at=f"{place}.data_type")
