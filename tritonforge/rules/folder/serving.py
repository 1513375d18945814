"""Rules of what the file itself can be served as."""

from collections.abc import Iterator

from tritonforge import knobs, pbtxt
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.pbtxt.fitting import capable, configured
from tritonforge.rules.folder.misfits import found, served
from tritonforge.rules.places import value_of
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model


@rule("FIT115", "refused")
def tensors_alone(model: Model) -> Iterator[Found]:
    """All inputs and outputs of the file are tensors, those that no config lists, too.

    Sequences and maps come of scikit-learn's classifiers, which give probabilities as a list of
    dictionaries.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime_utils.cc` (InputOutputInfos).
    Remedy: export without them (skl2onnx: `options={'zipmap': False}`), or cut the graph before.
    """
    yield from found(model, "form")


@rule("FIT116", "refused")
def types_that_triton_has(model: Model) -> Iterator[Found]:
    """Triton has a type for each tensor that is served: no complex number, none of 4 or 8 bits.

    A float of 16 bits as bfloat16 it takes since 26.03.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime_utils.cc`
    (ConvertFromOnnxDataType).
    Remedy: put a Cast after the input, or before the output.
    """
    for path, each in served(model):
        known = configured(each)
        since = knobs.sinces("data_types").get(known or "")
        if not each.type.startswith("tensor(") or _is_listed(model, each.name, known):
            continue  # TEN109 tells of what the config says itself
        if known is None or not knobs.begun(since, model.release):
            said = f"{each.name!r} of the model is {each.type}, which Triton does not take"
            yield Found(said=said, file=path)


def _is_listed(model: Model, name: str, dtype: str | None) -> bool:
    """Say whether a config lists a tensor as of a type."""
    message = model.message or pbtxt.ModelConfig()
    entries = (*message.input, *message.output)
    return any(each.name == name and value_of(each, "data_type") == dtype for each in entries)


@rule("FIT117", "refused")
def what_is_completed_batches(model: Model) -> Iterator[Found]:
    """A config that leaves inputs or outputs open has max_batch_size 0 where the file cannot batch.

    The server completes it from the file, of which then each tensor must begin with a dynamic
    dimension, listed or not.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (AutoCompleteMaxBatch).
    Remedy: set max_batch_size to 0, or list inputs and outputs.
    """
    if model.config is None or pbtxt.is_complete(model.config.message):
        return
    most = model.config.message.max_batch_size
    for file in model.contents:
        if most > 0 and not capable(file.has):
            every = (*file.has.inputs, *file.has.outputs)
            named = next(each.name for each in every if each.sizes[:1] != (-1,))
            said = f"max_batch_size is {most} but the model cannot batch: the first dimension of"
            yield Found(said=f"{said} {named!r} is not dynamic", at="max_batch_size")
            return


@rule("FIT118", "refused")
def dimensions_above_zero(model: Model) -> Iterator[Found]:
    """No dimension of a tensor that is served has the size 0 in the file.

    No config can say so. What batch_output gives its shape is not compared.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateIOShape).
    Remedy: export the model with a dynamic dimension.
    """
    message = model.message or pbtxt.ModelConfig()
    scattered = {name for each in message.batch_output for name in each.target_name}
    for path, each in served(model):
        if 0 in each.sizes and each.name not in scattered:
            said = f"{each.name!r} of the model has a dimension of size 0"
            yield Found(said=said, file=path)


@rule("FIT119", "refused")
def what_is_completed_takes_all(model: Model) -> Iterator[Found]:
    """A config that leaves outputs open has no optional input where the file can batch.

    The server completes it with max_batch_size 4, and then takes no optional input.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (AutoCompleteMaxBatch,
    ValidateInputs).
    Remedy: take optional out, or list the outputs.
    """
    if model.config is None or model.config.message.max_batch_size:
        return  # of which TEN110 tells
    most = max((each.served.max_batch_size for each in model.contents), default=0)
    for place, entry in told_apart("input", model.config.message.input) if most else ():
        if entry.optional:
            said = f"the server fills in max_batch_size {most}, with which no input can be optional"
            yield Found(said=said, at=f"{place}.optional")


@rule("FIT201", "wrong")
def batches_of_one_thing(model: Model) -> Iterator[Found]:
    """With max_batch_size above 0 the first dimensions of all inputs are one and the same.

    The server looks only whether they are dynamic, and puts requests together along them; the model
    counts other things there.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime_utils.cc`
    (CompareDimsSupported).
    Remedy: set max_batch_size to 0 and write all dims, or export the model with a batch.
    """
    yield from found(model, "batch of others")


@rule("FIT207", "wrong")
def inputs_are_listed_where_the_number_is_right(model: Model) -> Iterator[Found]:
    """Each input of the file is listed, also where a weight is listed in its place.

    The backend compares how many there are: with such a weight, which is not called optional, the
    model loads, and every request fails for the input that is missing.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: list the input in place of the weight, or call the weight optional.
    """
    yield from found(model, "unlisted in their number")


@rule("FIT209", "wrong")
def outputs_are_what_the_file_states(model: Model) -> Iterator[Found]:
    """The file states of an output the shape that its nodes give it.

    ONNX Runtime keeps what is left of both, until an optimization changes the graph and it looks
    again: which shape the config has to fit depends on its version, options and the machine.

    Source: microsoft/onnxruntime, `graph.cc` (MergeShapeInfo).
    Remedy: export the model again, or take the shape of the output out of the file.
    """
    yield from found(model, "shape in doubt")


@rule("FIT202", "wrong")
def scalars_without_batch(model: Model) -> Iterator[Found]:
    """With max_batch_size above 0 no input of the file is a scalar.

    Such a model loads, and of requests that run together each gets the first one's value.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (SetInputTensors).
    Remedy: set max_batch_size to 0, or give the input a row a request.
    """
    yield from found(model, "scalar in batch")
