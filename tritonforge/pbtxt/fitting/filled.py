"""What Triton itself fills in: controls and states of sequences, and inputs told from the batch."""

from collections.abc import Iterator
from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.pbtxt.fitting.misfit import Misfit, configured, sizes, together, type_of
from tritonforge.tensors import Interface, Value

_CORRELATION = "CONTROL_SEQUENCE_CORRID"
_VALUES = {
    "int32_false_true": "TYPE_INT32",
    "fp32_false_true": "TYPE_FP32",
    "bool_false_true": "TYPE_BOOL",
}


def names(message: Any, has: Interface) -> Iterator[Misfit]:
    """Yield what is to be filled in, or kept, and the file does not have."""
    inputs = {each.name: each for each in has.inputs}
    outputs = {each.name: each for each in has.outputs}
    batching = message.sequence_batching
    for place, each in _controls(message):
        if each.name and each.name not in inputs and each.control:
            said = f"the model has no input {each.name!r} to control, only {together(has.inputs)}"
            yield Misfit(kind="control", at=f"{place}.name", said=said)
    for number, each in enumerate(batching.state):
        for field, kind, known in (
            ("input_name", "input", inputs),
            ("output_name", "output", outputs),
        ):
            name = getattr(each, field)
            if name not in known:
                said = (
                    f"the model has no {kind} {name!r} of a state, only {together(known.values())}"
                )
                at = f"sequence_batching.state[{number}].{field}"
                yield Misfit(kind="state", at=at, said=said)
    for number, each in enumerate(message.batch_input):
        for index, name in enumerate(each.target_name):
            if name not in inputs:
                said = f"the model has no input {name!r} to fill in, only {together(has.inputs)}"
                yield Misfit(
                    kind="batch input", at=f"batch_input[{number}].target_name[{index}]", said=said
                )


def tensors(message: Any, has: Interface) -> Iterator[Misfit]:
    """Yield what is there, in another type or shape."""
    inputs = {each.name: each for each in has.inputs}
    for place, each in _controls(message):
        if each.name in inputs:
            for index, control in enumerate(each.control):
                at = f"{place}.control[{index}]"
                yield from _controlled(message, each.name, control, inputs[each.name], at)
    yield from _states(message, has)
    for number, each in enumerate(message.batch_input):
        wanted = type_of(each)
        for name in each.target_name:
            given = configured(inputs[name]) if name in inputs else None
            if given is not None and given != wanted:
                said = f"{name!r} is filled in as {wanted} but the model has {given}"
                at = f"batch_input[{number}].data_type"
                yield Misfit(kind="batch input's type", at=at, said=said)


def _controls(message: Any) -> Iterator[tuple[str, Any]]:
    """Yield the control tensors with their places."""
    batching = message.sequence_batching
    return told_apart("sequence_batching.control_input", batching.control_input)


def _controlled(
    message: Any, name: str, control: Any, value: Value, place: str
) -> Iterator[Misfit]:
    """Yield what of a control tensor differs: it is one value a request, of the control's type.

    For a text the core has a buffer that it hands on whole, and no backend takes what is behind it.
    """
    dims = value.sizes[1:] if message.max_batch_size > 0 else value.sizes
    if dims != (1,):
        behind = " behind the batch" if message.max_batch_size > 0 else ""
        said = f"the model has {sizes(dims)}{behind} for the control {name!r}, not [1]"
        yield Misfit(kind="control", at=place, said=said)
    kind = model_config_pb2.ModelSequenceBatching.Control.Kind.Name(control.kind)
    field = next((key for key in _VALUES if getattr(control, key)), None)
    wanted = type_of(control) if kind == _CORRELATION else _VALUES.get(field or "")
    given = configured(value)
    if wanted is not None and given != wanted:
        said = f"the control {name!r} is {wanted} but the model has {given or value.type}"
        yield Misfit(kind="control", at=place, said=said)
    elif wanted == "TYPE_STRING":
        said = f"Triton fails every request for the control {name!r}, a text: take a number"
        yield Misfit(kind="text as control", at=place, said=said)


def _states(message: Any, has: Interface) -> Iterator[Misfit]:
    """Yield what of a state differs from the input that takes it, or the output that gives it."""
    known = {
        "input": {each.name: each for each in has.inputs},
        "output": {each.name: each for each in has.outputs},
    }
    for number, each in enumerate(message.sequence_batching.state):
        place, wanted = f"sequence_batching.state[{number}]", type_of(each)
        for kind, values in known.items():
            name = getattr(each, f"{kind}_name")
            if name not in values:
                continue
            given = configured(values[name])
            if given != wanted:
                said = f"the state is {wanted} but the {kind} {name!r} of the model is {given}"
                yield Misfit(kind="state", at=f"{place}.data_type", said=said)
            yield from _state_shape(message, f"{place}.dims", each, kind, values[name])


def _state_shape(message: Any, place: str, state: Any, kind: str, value: Value) -> Iterator[Misfit]:
    """Yield a state whose dims the file cannot have."""
    whole = [-1, *state.dims] if message.max_batch_size > 0 else list(state.dims)
    fits = len(whole) == len(value.dims) and all(
        -1 in {want, have} or want == have for want, have in zip(whole, value.sizes, strict=True)
    )
    if not fits:
        said = f"the state has dims {sizes(list(state.dims))} but the {kind} {value.name!r} of the"
        said += f" model has {sizes(value.sizes)}"
        yield Misfit(kind="state's shape", at=place, said=said)
