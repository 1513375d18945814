"""Rules of instance groups."""

import re
from collections.abc import Iterator
from typing import Any

from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.rules.places import value_of
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

# What C++'s `stoi` reads and finds not to be negative.
_NUMBER = re.compile(r"\s*(\+?[0-9]|-0+(?![0-9]))", re.ASCII)


def _groups(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the groups of instances with their places."""
    return told_apart("instance_group", config.message.instance_group)


@rule("INS101", "refused", is_lasting=True)
def gpus_of_gpu_instances(config: Config) -> Iterator[Found]:
    """Only instances on a GPU name GPUs.

    Those of KIND_CPU and KIND_MODEL have none that the server knows of.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateInstanceGroup).
    Remedy: take gpus out, or write KIND_GPU.
    """
    for place, group in _groups(config):
        kind = value_of(group, "kind")
        if kind in {"KIND_CPU", "KIND_MODEL"} and group.gpus:
            yield Found(
                said=f"instances of {kind} take no gpus: leave them out", at=f"{place}.gpus"
            )


@rule("INS102", "refused", is_lasting=True)
def profile_of_tensorrt(config: Config) -> Iterator[Found]:
    """Only an instance of the TensorRT backend has a profile.

    It is an optimization profile of a TensorRT engine, and the server takes it for platform
    tensorrt_plan only.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateInstanceGroup).
    Remedy: take it out; the accelerator tensorrt has trt_profile_min_shapes and its siblings.
    """
    if config.backend == "tensorrt":
        return
    for place, group in _groups(config):
        if group.profile:
            yield Found(
                said="only the TensorRT backend takes it; for the accelerator tensorrt write"
                " trt_profile_min_shapes and its siblings",
                at=f"{place}.profile",
            )


@rule("INS105", "refused", is_lasting=True)
def profiles_by_number(config: Config) -> Iterator[Found]:
    """A profile of a TensorRT engine is a number, from 0.

    The server reads the text as one.

    Source: triton-inference-server/core, `model_config_utils.cc` (GetProfileIndex).
    Remedy: write a number in quotes, such as "0".
    """
    for place, group in _groups(config):
        for number, profile in enumerate(group.profile):
            if config.backend == "tensorrt" and not _NUMBER.match(profile):
                yield Found(
                    said=f"{profile!r} should be a number from 0", at=f"{place}.profile[{number}]"
                )


@rule("INS103", "refused", is_lone=True, is_lasting=True)
def known_kind(config: Config) -> Iterator[Found]:
    """The kind of instances is one that has a name.

    A number that stands for none is read, and refused.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateInstanceGroup).
    Remedy: write KIND_AUTO, KIND_GPU, KIND_CPU or KIND_MODEL.
    """
    for place, group in _groups(config):
        if not value_of(group, "kind").startswith("KIND_"):
            yield Found(said=f"there is no kind {group.kind}", at=f"{place}.kind")


@rule("INS104", "refused", is_lone=True, is_lasting=True)
def gpus_by_number(config: Config) -> Iterator[Found]:
    """A GPU is named by its number, from 0.

    The server loads no instances on a GPU that the machine has not.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateInstanceGroup).
    Remedy: write numbers as nvidia-smi does, or leave gpus out for all.
    """
    for place, group in _groups(config):
        for number, gpu in enumerate(group.gpus):
            if gpu < 0:
                yield Found(said=f"there is no GPU {gpu}", at=f"{place}.gpus[{number}]")


@rule("INS201", "wrong", is_lasting=True)
def resources_of_one_reach(config: Config) -> Iterator[Found]:
    """A resource of the rate limiter is of each device or of all, not both.

    With --rate-limit=execution_count the server refuses the model; without it reads no resources.

    Source: triton-inference-server/core, `rate_limiter.cc` (ParseAndValidateResources).
    Remedy: write global for all entries of a name, or for none.
    """
    reach: dict[str, bool] = {}
    for place, group in _groups(config):
        for number, each in enumerate(group.rate_limiter.resources):
            if reach.setdefault(each.name, getattr(each, "global")) != getattr(each, "global"):
                yield Found(
                    said=f"the resource {each.name!r} is of each device and of all at once",
                    at=f"{place}.rate_limiter.resources[{number}]",
                )


@rule("INS202", "wrong", is_lone=True, is_lasting=True)
def counted(config: Config) -> Iterator[Found]:
    """The count of instances is 1 or more, or left out.

    The server takes another for none: one instance, two of ONNX Runtime on the CPU.

    Source: triton-inference-server/core, `model_config_utils.cc` (NormalizeInstanceGroup).
    Remedy: write how many instances there should be.
    """
    for place, group in _groups(config):
        if group.count < 0:
            yield Found(said=f"{group.count} is taken for unset", at=f"{place}.count")


@rule("INS203", "wrong", is_lasting=True)
def instances_that_run(config: Config) -> Iterator[Found]:
    """Some instances are not passive.

    The server gives passive instances no requests; where there are no others, the first request
    ends the whole server (measured with 24.10).

    Source: triton-inference-server/core, `backend_model_instance.cc` (CreateInstance).
    Remedy: take passive out.
    """
    groups = [*_groups(config)]
    if groups and all(group.passive for _, group in groups):
        for place, _ in groups:
            yield Found(
                said="no instance is left to run requests, and the first ends the server",
                at=f"{place}.passive",
            )


@rule("INS301", "advice", is_lasting=True)
def limited_rate(config: Config) -> Iterator[Found]:
    """A rate limiter is read by a server that limits rates.

    Without --rate-limit=execution_count it runs whichever instance is free.

    Source: triton-inference-server/core, `rate_limiter.cc` (RegisterModelInstance).
    Remedy: start the server so, or take rate_limiter out.
    """
    for place, group in _groups(config):
        if group.HasField("rate_limiter"):
            yield Found(
                said="it is read with --rate-limit=execution_count only", at=f"{place}.rate_limiter"
            )
