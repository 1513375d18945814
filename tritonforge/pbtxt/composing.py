"""From a signature to the protobuf message `ModelConfig`."""

from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.reading import ModelConfig
from tritonforge.spec import ON_GPU, Accelerator
from tritonforge.tensors import Signature, TensorSpec


def config(
    name: str,
    signature: Signature,
    *,
    max_batch_size: int,
    labels: Mapping[str, str] | None = None,
    cores: int | None = None,
    scalars: bool = True,
    accelerator: Accelerator = "cpu",
) -> Any:
    """Make the `ModelConfig` of an ONNX Runtime model with this signature.

    `max_batch_size` 0 writes full shapes, above 0 shapes without the batch, as Triton demands.
    `labels` maps an output to its label file. `cores` gives one CPU instance that many threads;
    without it no thread count is written, since the machine that builds is not the one that serves.
    `scalars` says whether the target takes tensors without dimensions where nothing batches. An
    `accelerator` other than `cpu` is asked for by name; with `cpu` Triton decides.
    Raises `ConfigError` for a shape that Triton cannot express.
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
        _describe(message.input.add(), tensor, batched=batched)
    for tensor in signature.outputs:
        output = message.output.add()
        _describe(output, tensor, batched=batched)
        output.label_filename = (labels or {}).get(tensor.name, "")
    if max_batch_size > 1:
        message.dynamic_batching.SetInParent()  # no delay: a batch is what has queued up meanwhile
    group = message.instance_group.add(count=1)
    if cores is not None:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
        message.parameters["intra_op_thread_count"].string_value = str(cores)
    _accelerate(message, accelerator)
    message.version_policy.latest.num_versions = 1
    return message


def _accelerate(message: Any, accelerator: Accelerator) -> None:
    """Ask for the execution provider of an accelerator."""
    accelerators = message.optimization.execution_accelerators
    if accelerator == "openvino":
        accelerators.cpu_execution_accelerator.add(name="openvino")
    elif accelerator == "tensorrt":
        accelerators.gpu_execution_accelerator.add(name="tensorrt")
    if accelerator in ON_GPU:
        message.instance_group[0].kind = model_config_pb2.ModelInstanceGroup.KIND_GPU


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
