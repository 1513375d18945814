"""Rules of instance groups."""

from collections.abc import Iterator

from tritonforge.rules.places import told_apart, value_of
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config


@rule("INS101", "refused", is_lasting=True)
def gpus_of_gpu_instances(config: Config) -> Iterator[Found]:
    """Only instances on a GPU name GPUs.

    Those of KIND_CPU and KIND_MODEL have none that the server knows of.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateInstanceGroup).
    Remedy: take gpus out, or write KIND_GPU.
    """
    for place, group in told_apart("instance_group", config.message.instance_group):
        kind = value_of(group, "kind")
        if kind in {"KIND_CPU", "KIND_MODEL"} and group.gpus:
            yield Found(
                said=f"instances of {kind} take no gpus: leave them out", at=f"{place}.gpus"
            )


@rule("INS102", "refused")
def profile_of_tensorrt(config: Config) -> Iterator[Found]:
    """An instance of ONNX Runtime has no profile.

    It is an optimization profile of a TensorRT engine, and the server takes it for platform
    tensorrt_plan only.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateInstanceGroup).
    Remedy: take it out; the accelerator tensorrt has trt_profile_min_shapes and its siblings.
    """
    if not config.is_onnx:
        return
    for place, group in told_apart("instance_group", config.message.instance_group):
        if group.profile:
            yield Found(
                said="only the TensorRT backend takes it; for the accelerator tensorrt write"
                " trt_profile_min_shapes and its siblings",
                at=f"{place}.profile",
            )
