"""Rules of the inputs and outputs of a config against those of the file."""

from collections.abc import Iterator

from tritonforge.rules.config import listed, states
from tritonforge.rules.folder.misfits import found
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config, Model


@rule("FIT101", "refused")
def inputs_are_the_files(model: Model) -> Iterator[Found]:
    """Each input of a config is one of the file, by its whole name.

    A request brings tensors by the config's names, and ONNX Runtime takes them by the file's.

    Source: triton-inference-server/core, `model_config_utils.cc` (CheckAllowedModelInput), called
    by onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: mend the name; `tritonforge inspect` lists the file's.
    """
    yield from found(model, "input")


@rule("FIT102", "refused")
def outputs_are_the_files(model: Model) -> Iterator[Found]:
    """Each output of a config is one of the file, by its whole name; others may be left out.

    ONNX Runtime is asked for the outputs by the config's names.

    Source: triton-inference-server/core, `model_config_utils.cc` (CheckAllowedModelOutput), called
    by onnxruntime_backend, `onnxruntime.cc` (ValidateOutputs).
    Remedy: mend the name; `tritonforge inspect` lists the file's.
    """
    yield from found(model, "output")


@rule("FIT103", "refused")
def inputs_are_all_listed(model: Model) -> Iterator[Found]:
    """Each input of the file is listed, or filled in by Triton.

    ONNX Runtime runs nothing of which an input is missing, so the backend compares how many there
    are.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: list it, or drop it from the file where it is not needed.
    """
    yield from found(model, "unlisted")


@rule("FIT104", "refused")
def inputs_count_once(model: Model) -> Iterator[Found]:
    """The config gives as many inputs as the file has, each entry counted once.

    An entry that is optional is not counted, and is to be a weight of the file that is an input,
    too; an entry of batch_input counts once, however many inputs it fills in.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: list each input once, and call optional what the file has a value of.
    """
    if model.config is None or not _is_told(model.config):
        yield from found(model, "count")


def _is_told(config: Config) -> bool:
    """Say whether a rule of the config alone tells what is given more than once."""
    alone = (listed.listed_once, states.one_state_an_input, states.filled_in_by_the_server)
    return any(True for each in alone for _ in each.judge(config))


@rule("FIT105", "refused")
def types_are_the_files(model: Model) -> Iterator[Found]:
    """The data_type of each tensor is that of the file.

    What a request brings goes to ONNX Runtime as it is, and back: nothing is converted.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs,
    ValidateOutputs).
    Remedy: write the file's type.
    """
    yield from found(model, "dtype")


@rule("FIT106", "refused")
def dims_are_as_many(model: Model) -> Iterator[Found]:
    """A tensor has as many dims as the file's, the batch of max_batch_size being one of those.

    With max_batch_size above 0 the first dimension of the file is the batch, and no config writes
    it; with 0 all are written. Where there is a reshape, that is compared.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime_utils.cc`
    (CompareDimsSupported).
    Remedy: write the dims of the file, without the batch where max_batch_size is above 0.
    """
    yield from found(model, "rank")


@rule("FIT107", "refused")
def inputs_have_the_files_sizes(model: Model) -> Iterator[Found]:
    """Each dimension of an input has the file's size; where that is dynamic it may have any.

    A config may narrow what the file leaves open, and not open what the file fixes.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime_utils.cc`
    (CompareDimsSupported).
    Remedy: write the size of the file.
    """
    yield from found(model, "size of input")


@rule("FIT108", "refused")
def outputs_have_the_files_sizes(model: Model) -> Iterator[Found]:
    """Each dimension of an output is the file's, and -1 where that is dynamic.

    An output may not be narrowed as an input may (onnxruntime_backend#165).

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime_utils.cc`
    (CompareDimsSupported).
    Remedy: write the size of the file, or -1.
    """
    yield from found(model, "size of output")


@rule("FIT109", "refused")
def the_file_batches(model: Model) -> Iterator[Found]:
    """With max_batch_size above 0 each listed tensor of the file begins with a dynamic dimension.

    That is the batch, along which Triton puts requests together.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime_utils.cc`
    (CompareDimsSupported).
    Remedy: set max_batch_size to 0 and write all dims, or export the model with a dynamic batch.
    """
    yield from found(model, "batch")


@rule("FIT110", "refused")
def a_scalar_is_one_value(model: Model) -> Iterator[Found]:
    """A tensor without dimensions in the file has dims of ones, since 23.10; before it cannot be.

    Triton has no tensors without dimensions: one value stands for one.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs,
    ValidateOutputs).
    Remedy: write `dims: [ 1 ]`.
    """
    yield from found(model, "scalar")
