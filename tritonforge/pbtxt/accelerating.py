"""Which execution provider a config asks for, and what it tells it."""

from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge import knobs
from tritonforge.spec import ON_GPU, Accelerator

# These the backend takes as numbers where they are parameters of the model.
# Source: onnxruntime_backend, `onnxruntime.cc` LoadModel.
_NUMBERED = {
    "cudnn_conv_algo_search": ("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    "arena_extend_strategy": ("kNextPowerOfTwo", "kSameAsRequested"),
}
_OF_THE_MODEL = "a parameter of the model"


def accelerate(
    message: Any, accelerator: Accelerator, options: Mapping[str, str], cuda: Mapping[str, str]
) -> None:
    """Ask for the execution provider of an accelerator, TensorRT under these options.

    What TensorRT leaves CUDA runs, whose options are `cuda`; what the backend would set anew behind
    those becomes a parameter of the model. With `cpu` Triton decides.
    """
    accelerators = message.optimization.execution_accelerators
    group = message.instance_group[0]
    if accelerator == "openvino":
        accelerators.cpu_execution_accelerator.add(name="openvino")
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
    if accelerator == "tensorrt":
        _add(accelerators.gpu_execution_accelerator, "tensorrt", options)
    if accelerator in ON_GPU:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_GPU
        outer = {key for key, place in knobs.reset().items() if place == _OF_THE_MODEL}
        for key in outer & cuda.keys():
            message.parameters[key].string_value = _number(key, cuda[key])
        inner = {key: value for key, value in cuda.items() if key not in outer}
        if inner:
            _add(accelerators.gpu_execution_accelerator, "cuda", inner)
    if not accelerators.ListFields():
        message.ClearField("optimization")


def _add(accelerators: Any, name: str, options: Mapping[str, str]) -> None:
    """Add an accelerator with its parameters."""
    entry = accelerators.add(name=name)
    for key, value in options.items():
        entry.parameters[key] = value


def _number(key: str, value: str) -> str:
    """Return a value as a parameter of the model has it."""
    names = _NUMBERED.get(key, ())
    return str(names.index(value)) if value in names else value
