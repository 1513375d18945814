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


def accelerate(message: Any, accelerator: Accelerator, options: Mapping[str, str]) -> None:
    """Ask for the execution provider of an accelerator, under these options.

    What the backend would set anew behind CUDA's own options becomes a parameter of the model. With
    `cpu` Triton decides.
    """
    accelerators = message.optimization.execution_accelerators
    if accelerator == "openvino":
        accelerators.cpu_execution_accelerator.add(name="openvino")
    elif accelerator == "tensorrt":
        _add(accelerators.gpu_execution_accelerator, "tensorrt", options)
    elif accelerator == "cuda":
        outer = {key for key, place in knobs.reset().items() if place == _OF_THE_MODEL}
        for key in outer & options.keys():
            message.parameters[key].string_value = _number(key, options[key])
        inner = {key: value for key, value in options.items() if key not in outer}
        if inner:
            _add(accelerators.gpu_execution_accelerator, "cuda", inner)
    if accelerator in ON_GPU:
        message.instance_group[0].kind = model_config_pb2.ModelInstanceGroup.KIND_GPU
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
