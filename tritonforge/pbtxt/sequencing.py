"""States and tensors that Triton itself fills in, so that no request brings them."""

from collections.abc import Mapping, Sequence
from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge.errors import SpecError
from tritonforge.tensors import Signature, TensorSpec

_HINT = "name an input and the output that becomes it: --state h0:h1"


def hold(
    message: Any, states: Sequence[tuple[str, str]], signature: Signature, *, batched: bool
) -> None:
    """Let Triton keep the states of sequences: each begins as zeros, an output becomes an input.

    Raises `SpecError` where a state names what the model does not have, or does not fit itself.
    """
    inputs = {each.name: each for each in signature.inputs}
    outputs = {each.name: each for each in signature.outputs}
    for number, (before, after) in enumerate(states):
        for name, known, kind in ((before, inputs, "input"), (after, outputs, "output")):
            if name not in known:
                raise SpecError(
                    f"the state {before}:{after} names the {kind} {name!r}, which the model does"
                    f" not have: it has {', '.join(known)}",
                    hint=_HINT,
                    at=("states", before),
                )
        if after in [other for _, other in states[:number]]:
            raise SpecError(
                f"two states take the output {after!r}", hint=_HINT, at=("states", before)
            )
        _add(message, inputs[before], outputs[after], batched=batched)
    if states and message.sequence_batching.WhichOneof("strategy_choice") is None:
        message.sequence_batching.direct.SetInParent()


def _add(message: Any, before: TensorSpec, after: TensorSpec, *, batched: bool) -> None:
    """Add one state."""
    one, other = (_dims(each, batched=batched) for each in (before, after))
    if before.dtype is not after.dtype or len(one) != len(other):
        raise SpecError(
            f"the output {after} cannot become the input {before}: dtype or rank differ",
            hint=_HINT,
            at=("states", before.name),
        )
    for here, there in zip(one, other, strict=True):
        if here != there and -1 not in {here, there}:
            raise SpecError(
                f"the output {after} cannot become the input {before}: {there} is not {here}",
                hint=_HINT,
                at=("states", before.name),
            )
    if batched and len(before.dims) == 1:
        raise SpecError(
            f"the state {before} is one value a row without a dimension, and Triton gives it one",
            hint="give it a dimension of size 1",
            at=("states", before.name),
        )
    if -1 in one:
        raise SpecError(
            f"the state {before} has a dynamic dimension, and Triton begins it as zeros of a fixed"
            " shape",
            hint="fix the dimension at export, or write sequence_batching.state yourself",
            at=("states", before.name),
        )
    dtype = model_config_pb2.DataType.Value(before.dtype.config)
    state = message.sequence_batching.state.add(
        input_name=before.name, output_name=after.name, data_type=dtype, dims=other
    )
    state.initial_state.add(name=before.name, data_type=dtype, dims=one, zero_data=True)


def _dims(tensor: TensorSpec, *, batched: bool) -> list[int]:
    """Return the dims of a tensor as a config writes them."""
    dims = tensor.dims[1:] if batched else tensor.dims
    return [-1 if isinstance(dim, str) else dim for dim in dims] or [1]


def check_states(message: Any, states: Sequence[tuple[str, str]]) -> None:
    """Raise `SpecError` where what was said of the config leaves out a state that was asked for."""
    held = {(each.input_name, each.output_name) for each in message.sequence_batching.state}
    for state in states:
        if state not in held:
            raise SpecError(
                f"the state {':'.join(state)} is asked for, and the rest of the spec drops it",
                hint="say sequence_batching without false, and without another list of states",
                at=("sequence_batching",),
            )


def unlist(message: Any) -> None:
    """Take off the lists of inputs and outputs what Triton fills in, and what it keeps.

    Outputs that it keeps stay listed where there are no others.
    Source: core `model_config_utils.cc`; onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    """
    kept = {state.output_name for state in message.sequence_batching.state}
    others = any(each.name not in kept for each in message.output)
    for entries, names in ((message.input, filled(message)), (message.output, kept)):
        left = [each for each in entries if each.name not in names]
        if entries is message.input or others:
            del entries[:]
            entries.extend(left)


def filled(message: Any) -> frozenset[str]:
    """Name the inputs of the model that Triton fills in: no request brings them."""
    batching = message.sequence_batching
    return frozenset(
        (
            *(each.name for each in batching.control_input),
            *(state.input_name for state in batching.state),
            *(name for each in message.batch_input for name in each.target_name),
        )
    )


def controls(message: Any) -> tuple[Any, ...]:
    """Return the control tensors, each as often as it is given to a kind."""
    return tuple(each for each in message.sequence_batching.control_input for _ in each.control)


def is_sequential(message: Any) -> bool:
    """Say whether requests belong to sequences."""
    return bool(message.HasField("sequence_batching"))


def check_tensors(message: Any, signature: Signature) -> None:
    """Raise `SpecError` where a config has Triton fill in what the model does not take."""
    inputs: Mapping[str, TensorSpec] = {each.name: each for each in signature.inputs}
    asked = [each.name for each in message.sequence_batching.control_input]
    asked += [name for each in message.batch_input for name in each.target_name]
    for name in asked:
        if name not in inputs:
            raise SpecError(
                f"{name!r} is to be filled in by Triton, and the model has no such input",
                hint=f"it has {', '.join(inputs)}",
                at=(
                    "sequence_batching"
                    if message.sequence_batching.control_input
                    else "batch_input",
                ),
            )
