"""Rules of what Triton fills in against the file: controls, states, parts of a batch."""

from collections.abc import Iterator

from tritonforge.rules.folder.misfits import found
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model


@rule("FIT111", "refused")
def ragged_inputs_are_flat(model: Model) -> Iterator[Found]:
    """The file has the shape [-1] for an input that is ragged.

    Requests are put end to end, whatever their shapes.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: leave allow_ragged_batch out, or export the model with a flat input.
    """
    yield from found(model, "ragged")


@rule("FIT112", "refused")
def controls_fit(model: Model) -> Iterator[Found]:
    """The file has each control tensor of sequences: one value a row, of the control's type.

    Triton adds the tensor to every request, to tell where a sequence begins or ends.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc`
    (ValidateBooleanSequenceControl, ValidateTypedSequenceControl).
    Remedy: leave the control out, or export the model with an input of that name, of dims [ 1 ].
    """
    yield from found(model, "control")


@rule("FIT203", "wrong")
def states_of_the_files_shape(model: Model) -> Iterator[Found]:
    """The dims of a state are those of the input and the output in the file.

    The server does not compare them, and each request of a sequence fails in ONNX Runtime.

    Source: triton-inference-server/core, `sequence_state.cc`; onnxruntime_backend, `onnxruntime.cc`
    (ValidateOutputs).
    Remedy: write the dims of the file, without the batch.
    """
    yield from found(model, "state's shape")


@rule("FIT204", "wrong")
def batch_inputs_of_the_files_type(model: Model) -> Iterator[Found]:
    """The data_type of batch_input is that of the inputs which it fills in.

    The server does not compare them, and each request fails in ONNX Runtime.

    Source: triton-inference-server/backend, `backend_input_collector.cc` (ProcessBatchInput).
    Remedy: write the file's type, or export the model with the type that is there.
    """
    yield from found(model, "batch input's type")


@rule("FIT205", "wrong")
def states_fit(model: Model) -> Iterator[Found]:
    """The file has the input and the output of each state, in its type.

    The server loads a model without, and answers no request to it.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateOutputs), whose
    condition is the wrong way round.
    Remedy: mend the names and the type of the state.
    """
    yield from found(model, "state")


@rule("FIT206", "wrong")
def batch_inputs_are_the_files(model: Model) -> Iterator[Found]:
    """The file has each input that batch_input fills in.

    The server loads a model without, and answers no request to it.

    Source: triton-inference-server/backend, `backend_input_collector.cc` (ProcessBatchInput).
    Remedy: mend target_name.
    """
    yield from found(model, "batch input")


@rule("FIT208", "wrong")
def controls_are_numbers(model: Model) -> Iterator[Found]:
    """A control tensor that takes the id of a sequence is a number.

    Triton adds a text with what lies behind it in memory: the model loads, and every request fails.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc`
    (CreateCorrelationIDControl).
    Remedy: export the model with a whole number for it, such as UINT64.
    """
    yield from found(model, "text as control")
