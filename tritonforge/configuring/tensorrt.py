"""What the accelerator `tensorrt` is told: precision, profiles, and caches that are safe."""

from collections.abc import Mapping
from typing import Any

from tritonforge import knobs, profiles
from tritonforge.errors import SpecError
from tritonforge.profiles import Profile
from tritonforge.spec import ModelSpec
from tritonforge.tensors import Signature

# Where docker/ mounts a volume; ONNX Runtime makes the model's own folder in it.
CACHE = "/var/cache/tensorrt"
_ON = "1"


def profiles_of(spec: ModelSpec, signature: Signature, max_batch_size: int) -> tuple[Profile, ...]:
    """Return the optimization profiles of a model; raises `SpecError` where one is unbounded."""
    batch = signature.batch if max_batch_size else None
    return profiles.profiles(
        signature.inputs,
        dict(spec.ranges),
        max_batch_size,
        batch,
        several=spec.profiles,
    )


def parameters(
    name: str, spec: ModelSpec, made: tuple[Profile, ...]
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the parameters of the accelerator, and notes on what the target cannot be told.

    What a person has said by name goes as it is: whether the target takes it is asked of the whole
    config. Raises `SpecError` for a precision that the target has not.
    """
    folder = f"{CACHE}/{name}"
    wanted = {
        **_precision(spec),
        "trt_engine_cache_enable": _ON,
        "trt_engine_cache_path": folder,
        "trt_engine_cache_prefix": name,
        "trt_timing_cache_enable": _ON,
        "trt_timing_cache_path": folder,
        **profiles.texts(made),
    }
    taken = knobs.tensorrt_keys(spec.target)
    missing = [key for key in wanted if key not in taken]
    told = {key: value for key, value in wanted.items() if key in taken}
    return {**told, **spec.tensorrt}, tuple(_notes(missing, spec))


def _precision(spec: ModelSpec) -> Mapping[str, Any]:
    """Return the precision where a flag says it, rather than the file."""
    key = knobs.known("tensorrt")["precision_mode"]
    if spec.precision == "fp32" or key.idle(spec.target):
        if spec.precision == "bf16":
            raise SpecError(
                f"TensorRT of {spec.target.tag} computes in what the file says, and tritonforge"
                " writes no BF16",
                hint="export the model in BF16, or choose --precision fp16",
                at=("precision",),
            )
        return {}
    return {key.name: spec.precision.upper()}


def _notes(missing: list[str], spec: ModelSpec) -> list[str]:
    """Say what the target cannot be told, and what comes of it."""
    notes = []
    tag = spec.target.tag
    if any(key.startswith("trt_profile") for key in missing):
        notes.append(
            f"{tag} takes no optimization profiles, 24.04 is the first that does: TensorRT builds"
            " an engine anew when a request goes beyond the sizes seen so far"
        )
    others = [key for key in missing if not key.startswith("trt_profile")]
    if others:
        notes.append(f"{tag} does not take {', '.join(others)}, and goes without")
    return notes
