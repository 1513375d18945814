"""From a signature to the protobuf message `ModelConfig`."""

from collections.abc import Container, Mapping
from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.reading import ModelConfig
from tritonforge.pbtxt.reshaping import sent
from tritonforge.tensors import DType, Signature, TensorSpec

THREADS = "intra_op_thread_count"


def config(
    name: str,
    signature: Signature,
    *,
    max_batch_size: int,
    labels: Mapping[str, str] | None = None,
    scalars: bool = True,
    ragged: Container[str] = (),
) -> Any:
    """Make the `ModelConfig` of an ONNX Runtime model with this signature.

    `max_batch_size` 0 writes full shapes, above 0 shapes without the batch, as Triton demands.
    `labels` maps an output to its label file. `scalars` says whether the target takes tensors
    without dimensions where nothing batches, `ragged` names inputs whose requests are put end to
    end: they have no batch in the file. Raises `ConfigError` for a shape that Triton cannot say.
    """
    message = ModelConfig(name=name, backend="onnxruntime", max_batch_size=max_batch_size)
    batched = max_batch_size > 0
    bare = [each.name for each in (*signature.inputs, *signature.outputs) if not each.dims]
    if bare and not batched and not scalars:
        raise ConfigError(
            f"{bare[0]!r} has no dimensions, which the Triton of the target does not take",
            hint="choose --target 23.10 or newer, or give the tensor a dimension of size 1",
        )
    for tensor in signature.inputs:
        _describe(message.input.add(), tensor, batched=batched and tensor.name not in ragged)
    for tensor in signature.outputs:
        output = message.output.add()
        _describe(output, tensor, batched=batched)
        output.label_filename = (labels or {}).get(tensor.name, "")
    if max_batch_size > 1:
        message.dynamic_batching.SetInParent()  # no delay: a batch is what has queued up meanwhile
    message.instance_group.add(count=1)
    message.version_policy.latest.num_versions = 1
    return message


def add_warmup(
    message: Any,
    name: str,
    batch_size: int,
    inputs: Mapping[str, tuple[DType, tuple[int, ...], str | None]],
) -> None:
    """Add a sample that the server runs before it is ready.

    `inputs` maps a name to its dtype, its shape without the batch, and the file of its values in
    the model's folder `warmup/`, None for zeros.
    """
    sample = message.model_warmup.add(name=name, batch_size=batch_size)
    listed = {entry.name: entry for entry in message.input}
    for key, (dtype, shape, file) in inputs.items():
        entry = sample.inputs[key]
        entry.data_type = model_config_pb2.DataType.Value(dtype.config)
        entry.dims.extend(sent(listed[key], shape))
        if file is None:
            entry.zero_data = True
        else:
            entry.input_data_file = file


def instances(message: Any, count: int, threads: int | None, *, on_cpu: bool) -> None:
    """Say how many instances run the model, and how many threads each has; None is all cores."""
    group = message.instance_group[0]
    group.count = count
    if on_cpu:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
    if threads is not None:
        message.parameters[THREADS].string_value = str(threads)


def _describe(entry: Any, tensor: TensorSpec, *, batched: bool) -> None:
    """Fill one input or output of the config.

    Triton knows no tensor without dimensions: one value a sample is `dims: [ 1 ]` reshaped to
    nothing where the model batches, and `dims: [ 1 ]` alone where it does not (since 23.10).
    Source: core `model_config_utils.cc` ValidateIOShape, onnxruntime_backend `onnxruntime.cc`.
    """
    dims = tensor.dims[1:] if batched else tensor.dims
    if 0 in dims:
        raise ConfigError(
            f"{tensor.name!r} has a dimension of size 0, which Triton cannot express",
            hint="export the model with a shape whose dimensions are 1 or more",
        )
    entry.name = tensor.name
    entry.data_type = model_config_pb2.DataType.Value(tensor.dtype.config)
    entry.dims.extend([-1 if isinstance(dim, str) else dim for dim in dims] or [1])
    if batched and not dims:
        entry.reshape.SetInParent()
