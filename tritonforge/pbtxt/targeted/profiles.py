"""TensorRT's explicit profiles: `trt_profile_{min,opt,max}_shapes`.

Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`: what it cannot read, or finds not
to agree, it passes over with a warning, and engines are then built during inference.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from tritonforge.pbtxt.targeted.fault import Fault, error, ignored

_KEYS = tuple(f"trt_profile_{bound}_shapes" for bound in ("min", "opt", "max"))
_LATER = "ONNX Runtime passes the profiles over and builds engines during inference"
Shapes = list[tuple[str, tuple[int, ...]]]


def profiles(given: Mapping[str, str], prefix: str, message: Any) -> Iterator[Fault]:
    """Yield what is wrong of an accelerator's profiles; `given` are its parameters."""
    named = [key for key in _KEYS if given.get(key)]
    if not named:
        return
    read = {key: _read(given[key]) for key in named}
    unread = [key for key, shapes in read.items() if shapes is None]
    for key in unread:
        yield ignored(
            f"{prefix}{key}",
            f"{given[key]!r} is not of the form input:1x3x224x224,other:1x8, so {_LATER}",
        )
    missing = [key for key in _KEYS if key not in named]
    if missing:
        yield ignored(
            f"{prefix}{named[0]}",
            f"profiles need {', '.join(_KEYS)}, but {' and '.join(missing)}"
            f" {'is' if len(missing) == 1 else 'are'} not given, so {_LATER}",
        )
    if not unread and not missing:
        yield from _agreeing([read[key] or [] for key in _KEYS], prefix, message)


def _read(text: str) -> Shapes | None:
    """Read `name:1x3,other:2`; None for anything else."""
    found: Shapes = []
    for part in text.split(","):
        name, _, shape = part.rpartition(":")
        dims = shape.split("x")
        if not name or not all(each.isascii() and each.isdigit() for each in dims):
            return None
        found.append((name, tuple(map(int, dims))))
    return found


def _agreeing(bounds: list[Shapes], prefix: str, message: Any) -> Iterator[Fault]:
    """Yield where the three do not go together, or not with the config's inputs."""
    least, *others = bounds
    for key, shapes in zip(_KEYS[1:], others, strict=True):
        if sorted(name for name, _ in shapes) != sorted(name for name, _ in least):
            yield ignored(
                f"{prefix}{key}",
                f"it names other inputs, or as many profiles, than {_KEYS[0]}, so {_LATER}",
            )
            return
    ordered = [sorted(shapes, key=lambda each: each[0]) for shapes in bounds]  # keeps their order
    for (lower, upper), key in zip(pairwise(ordered), _KEYS[1:], strict=True):
        for (name, low), (_, high) in zip(lower, upper, strict=True):
            if len(low) != len(high) or any(a > b for a, b in zip(low, high, strict=False)):
                yield error(
                    f"{prefix}{key}",
                    f"the profile of {name} does not rise from min over opt to max"
                    f" ({_text(low)}, then {_text(high)}), which TensorRT refuses",
                )
    yield from _ranks(ordered[0], prefix, message)


def _ranks(shapes: Shapes, prefix: str, message: Any) -> Iterator[Fault]:
    """Yield the profiles that have not the dimensions of the file, which has the batch besides."""
    batched = message.max_batch_size > 0
    inputs = {
        each.name: each.reshape.shape if each.HasField("reshape") else each.dims
        for each in message.input
    }
    for name, dims in shapes:
        if name in inputs and len(dims) != len(inputs[name]) + batched:
            whole = len(inputs[name]) + batched
            yield error(
                f"{prefix}{_KEYS[0]}",
                f"the profile of {name} has {len(dims)} dimensions where the file has {whole}"
                + (", the batch included" if batched else ""),
            )


def _text(dims: tuple[int, ...]) -> str:
    """Write dimensions as the parameter does."""
    return "x".join(map(str, dims))
