"""What a config says of itself, and what is left of it where there is no GPU."""

from collections.abc import Sequence
from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge.pbtxt.reading import ModelConfig
from tritonforge.tensors import DType


def dtype(number: int) -> DType:
    """Return the dtype that a config holds as a number; raises `SpecError` for none of ours."""
    return DType.parse(model_config_pb2.DataType.Name(number))


def is_complete(message: Any) -> bool:
    """Say whether a server takes the config as it is: it adds to one that lacks its tensors.

    Source: onnxruntime_backend, `onnxruntime.cc` (AutoCompleteConfig).
    """
    return bool(message.input or message.batch_input) and bool(message.output)


def served(message: Any, versions: Sequence[int]) -> tuple[int, ...]:
    """Return those of a model's versions, ascending, that its policy has served.

    Without a policy that is the newest; one that says nothing is of all, and `latest` of no number
    is of none. Source: core, `model_lifecycle.cc` (VersionsToLoad).
    """
    policy = message.version_policy
    if not message.HasField("version_policy"):
        return tuple(versions[-1:])
    if policy.HasField("specific"):
        return tuple(each for each in versions if each in policy.specific.versions)
    if policy.HasField("latest"):
        return tuple(versions[max(len(versions) - policy.latest.num_versions, 0) :])
    return tuple(versions)


def needs_gpu(message: Any) -> bool:
    """Say whether the config asks for a GPU by an instance kind or an accelerator."""
    kinds = {group.kind for group in message.instance_group}
    accelerators = message.optimization.execution_accelerators.gpu_execution_accelerator
    return model_config_pb2.ModelInstanceGroup.KIND_GPU in kinds or len(accelerators) > 0


def may_use_gpu(message: Any) -> bool:
    """Say whether an instance is, or may come to be, on a GPU: what no kind keeps on the CPU.

    Source: onnxruntime_backend, `onnxruntime.cc` (LoadModel), which has providers of a GPU for
    instances of KIND_GPU alone; core makes that of KIND_AUTO where there are GPUs.
    """
    groups = model_config_pb2.ModelInstanceGroup
    kinds = {each.kind for each in message.instance_group}
    return not kinds or not kinds <= {groups.KIND_CPU, groups.KIND_MODEL}


def without_policy(message: Any) -> Any:
    """Return a copy that leaves it to Triton which versions are served: the newest."""
    copy = ModelConfig()
    copy.CopyFrom(message)
    copy.ClearField("version_policy")
    return copy


def needs_openvino(message: Any) -> bool:
    """Say whether the config asks for OpenVINO, which NVIDIA's images for x86 have.

    The embedded server has it not, with a GPU or without.
    """
    accelerators = message.optimization.execution_accelerators.cpu_execution_accelerator
    return any(each.name == "openvino" for each in accelerators)


def rehearse(message: Any) -> Any:
    """Return a copy for the embedded server: KIND_CPU, no accelerator and no CUDA settings."""
    copy = ModelConfig()
    copy.CopyFrom(message)
    for group in copy.instance_group:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
        del group.gpus[:]
        del group.secondary_devices[:]
        del group.profile[:]
    if copy.HasField("optimization"):
        copy.optimization.ClearField("cuda")
        accelerators = copy.optimization.execution_accelerators
        del accelerators.gpu_execution_accelerator[:]
        kept = [each for each in accelerators.cpu_execution_accelerator if each.name != "openvino"]
        del accelerators.cpu_execution_accelerator[:]
        accelerators.cpu_execution_accelerator.extend(kept)
        if not accelerators.cpu_execution_accelerator:
            copy.optimization.ClearField("execution_accelerators")
        if not copy.optimization.ListFields():
            copy.ClearField("optimization")
    return copy
