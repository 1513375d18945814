"""Whether a release would load a config, and what of it nobody would heed."""

from collections.abc import Iterator
from typing import Any

from tritonforge import knobs
from tritonforge.pbtxt.targeted.accelerated import backend
from tritonforge.pbtxt.targeted.fault import Fault, error, ignored, told_apart
from tritonforge.pbtxt.targeted.fields import unknown
from tritonforge.pbtxt.targeted.listed import tensors
from tritonforge.pbtxt.targeted.rules import broken
from tritonforge.pbtxt.targeted.warmed import warmup
from tritonforge.release import EMBEDDED, Release, find

__all__ = ["Fault", "faults", "lasting"]

_BACKEND, _PLATFORM = "onnxruntime", "onnxruntime_onnx"


def faults(message: Any, release: Release) -> tuple[Fault, ...]:
    """Return what of a config a release refuses or ignores, by the config alone.

    Whether it fits the model's file is another question. What depends on a version is not asked
    of an ONNX Runtime as the target, which is thought to be behind the newest Triton.
    """
    onnx = _is_onnx(message)
    found = [*unknown(message, release), *broken(message), *tensors(message, release, onnx=onnx)]
    if onnx:
        found += [*_foreign(message), *_unread(message, release), *backend(message, release)]
    found += warmup(message)
    return tuple(found)


def lasting(message: Any) -> tuple[Fault, ...]:
    """Return what of a config every release refuses or ignores, whichever backend serves it."""
    any_release = find(EMBEDDED)  # which tensors of ONNX Runtime alone depend on
    return (*broken(message), *tensors(message, any_release, onnx=False), *warmup(message))


def _is_onnx(message: Any) -> bool:
    """Say whether the ONNX Runtime backend serves the model, as one that names none is thought."""
    return message.backend == _BACKEND or (
        not message.backend and message.platform in {"", _PLATFORM}
    )


def _foreign(message: Any) -> Iterator[Fault]:
    """Yield what a model of ONNX Runtime cannot have."""
    if message.platform not in {"", _PLATFORM}:
        yield error("platform", f"{message.platform!r} is not of {_BACKEND}: write {_PLATFORM!r}")
    if message.HasField("ensemble_scheduling"):
        yield error("ensemble_scheduling", "only a model of platform 'ensemble' has steps")
    if message.model_transaction_policy.decoupled:
        yield error(
            "model_transaction_policy.decoupled",
            "the ONNX Runtime backend answers each request once, and the server then refuses"
            " requests that are not streamed",
        )
    for place, group in told_apart("instance_group", message.instance_group):
        if group.profile:
            yield error(
                f"{place}.profile",
                "only the TensorRT backend takes it; for the accelerator tensorrt write"
                " trt_profile_min_shapes and its siblings",
            )


def _unread(message: Any, release: Release) -> Iterator[Fault]:
    """Yield the fields that are read for models of other backends only."""
    for field, by in knobs.unread().items():
        scope, name = field.split(".")
        held = getattr(message, scope)
        for place, each in (
            told_apart(scope, held) if scope == "instance_group" else [(scope, held)]
        ):
            if name in {found.name for found, _ in each.ListFields()}:
                yield ignored(
                    f"{place}.{name}",
                    f"in release {release.tag} only {by} reads it, not that of ONNX Runtime",
                )
    if message.optimization.priority and not message.HasField("sequence_batching"):
        yield ignored(
            "optimization.priority",
            f"in release {release.tag} only the sequence batcher reads it",
        )
