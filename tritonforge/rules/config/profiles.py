"""Rules of TensorRT's explicit profiles: `trt_profile_{min,opt,max}_shapes`.

What ONNX Runtime cannot read, or finds not to agree, it passes over with a warning, and engines are
then built during inference.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tritonforge import knobs
from tritonforge.rules.config.accelerators import parameters
from tritonforge.rules.places import keyed, several
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

_KEYS = tuple(f"trt_profile_{bound}_shapes" for bound in ("min", "opt", "max"))
_SIZE = re.compile(r"[0-9]{1,18}")  # of 64 bits
_LATER = "ONNX Runtime passes the profiles over and builds engines during inference"
Shapes = list[tuple[str, tuple[int, ...]]]


def _given(config: Config) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the profiles of each accelerator that has some: its place, and the texts by key."""
    if knobs.begun(knobs.known("tensorrt")[_KEYS[0]].since, config.release):
        for prefix, given in parameters(config, "tensorrt"):
            held = {key: given[key] for key in _KEYS if given.get(key)}
            if held:
                yield prefix, held


def _read(text: str) -> Shapes | None:
    """Read `name:1x3,other:2`; None for anything else."""
    found: Shapes = []
    for part in text.split(","):
        name, _, shape = part.rpartition(":")
        dims = shape.split("x")
        if not name or not all(_SIZE.fullmatch(each) for each in dims):
            return None
        found.append((name, tuple(map(int, dims))))
    return found


def _whole(config: Config) -> Iterator[tuple[str, list[Shapes]]]:
    """Yield the profiles of which all three bounds can be read."""
    for prefix, given in _given(config):
        bounds = [_read(given[key]) for key in _KEYS if key in given]
        read = [each for each in bounds if each is not None]
        if len(read) == len(_KEYS):
            yield prefix, read


def _names(shapes: Shapes) -> list[str]:
    """Return the inputs that a bound is of, each as often as there are profiles."""
    return sorted(name for name, _ in shapes)


def _agreed(config: Config) -> Iterator[tuple[str, list[Shapes]]]:
    """Yield the profiles that are of the same inputs; those of each in their order."""
    for prefix, bounds in _whole(config):
        if all(_names(each) == _names(bounds[0]) for each in bounds):
            yield prefix, [sorted(shapes, key=lambda each: each[0]) for shapes in bounds]


@rule("PRO101", "refused")
def rising(config: Config) -> Iterator[Found]:
    """A profile rises from min over opt to max, in every dimension.

    TensorRT refuses another, and with it the load.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`; TensorRT,
    IOptimizationProfile::setDimensions.
    Remedy: write shapes of as many dimensions, none larger than in the next bound.
    """
    for prefix, bounds in _agreed(config):
        for (lower, upper), key in zip(pairwise(bounds), _KEYS[1:], strict=True):
            for (name, low), (_, high) in zip(lower, upper, strict=True):
                if len(low) != len(high) or any(a > b for a, b in zip(low, high, strict=False)):
                    yield Found(
                        said=f"the profile of {name} does not rise from min over opt to max"
                        f" ({_text(low)}, then {_text(high)}), which TensorRT refuses",
                        at=keyed(prefix, key),
                    )


@rule("PRO102", "refused")
def of_all_dimensions(config: Config) -> Iterator[Found]:
    """A profile has the dimensions of the file, the batch included.

    The dims of an input in a config are without the batch, those of a profile with it.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`.
    Remedy: write a size for each dimension, the batch first.
    """
    ranks = _ranks(config)
    batched = ", the batch included" if config.message.max_batch_size > 0 else ""
    for prefix, bounds in _agreed(config):
        for name, dims in bounds[0]:
            if len(dims) != ranks.get(name, len(dims)):
                yield Found(
                    said=f"the profile of {name} has {several(len(dims), 'dimension')} where"
                    f" the file has {ranks[name]}{batched}",
                    at=keyed(prefix, _KEYS[0]),
                )


def _ranks(config: Config) -> dict[str, int]:
    """Return how many dimensions the inputs have in the file, by what the config says of them."""
    batched = config.message.max_batch_size > 0
    return {each.name: len(_shape(each)) + batched for each in config.message.input}


def _shape(entry: Any) -> Sequence[int]:
    """Return the shape that the model has an input in, without the batch."""
    shape: Sequence[int] = entry.reshape.shape if entry.HasField("reshape") else entry.dims
    return shape


@rule("PRO201", "wrong")
def readable(config: Config) -> Iterator[Found]:
    """Profiles are written input:1x3x224x224, with commas between inputs.

    Others are passed over, and engines are built anew during inference.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider_utils.h` (ParseProfileShapes).
    Remedy: write name:dims, sizes with x between.
    """
    for prefix, given in _given(config):
        for key, text in given.items():
            if _read(text) is None:
                yield Found(
                    said=f"{text!r} is not of the form input:1x3x224x224,other:1x8, so {_LATER}",
                    at=keyed(prefix, key),
                )


@rule("PRO202", "wrong")
def all_three(config: Config) -> Iterator[Found]:
    """Profiles have all three bounds: min, opt and max.

    Others are passed over, and engines are built anew during inference.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`.
    Remedy: write trt_profile_min_shapes, trt_profile_opt_shapes and trt_profile_max_shapes.
    """
    for prefix, given in _given(config):
        missing = [key for key in _KEYS if key not in given]
        if missing:
            yield Found(
                said=f"profiles need {', '.join(_KEYS)}, but {' and '.join(missing)}"
                f" {'is' if len(missing) == 1 else 'are'} not given, so {_LATER}",
                at=keyed(prefix, next(iter(given))),
            )


@rule("PRO203", "wrong")
def same_inputs(config: Config) -> Iterator[Found]:
    """The three bounds of profiles name the same inputs, each as often.

    Others are passed over, and engines are built anew during inference.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`
    (ValidateProfileShapes).
    Remedy: name in each bound the inputs that the others name.
    """
    for prefix, bounds in _whole(config):
        least, *others = bounds
        strange = [
            key
            for key, shapes in zip(_KEYS[1:], others, strict=True)
            if _names(shapes) != _names(least)
        ]
        if strange:
            yield Found(
                said=f"it names other inputs, or as many profiles, than {_KEYS[0]}, so {_LATER}",
                at=keyed(prefix, strange[0]),
            )


@rule("PRO204", "wrong")
def whole_batches(config: Config) -> Iterator[Found]:
    """The profiles of an input reach max_batch_size.

    The server makes batches up to that, and an engine refuses those beyond its profiles.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`.
    Remedy: write max_batch_size as the first size in trt_profile_max_shapes.
    """
    most, ranks = config.message.max_batch_size, _ranks(config)
    for prefix, bounds in _agreed(config):
        reach: dict[str, int] = {}
        for name, dims in bounds[-1]:
            if len(dims) == ranks.get(name):
                reach[name] = max(reach.get(name, 0), dims[0])
        for name, size in reach.items():
            if 0 < size < most:
                yield Found(
                    said=f"the profiles of {name} end at a batch of {size}, below max_batch_size"
                    f" {most}",
                    at=keyed(prefix, _KEYS[-1]),
                )


@rule("PRO205", "wrong")
def every_dynamic_input(config: Config) -> Iterator[Found]:
    """Profiles are of every input that has a dynamic dimension, as a batch is one.

    Where one is left out all are passed over, and engines are built anew during inference.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`.
    Remedy: add the input to all three bounds.
    """
    message = config.message
    for prefix, bounds in _agreed(config):
        named = {name for name, _ in bounds[0]}
        for entry in message.input:
            is_dynamic = message.max_batch_size > 0 or -1 in _shape(entry)
            if entry.name not in named and is_dynamic:
                yield Found(
                    said=f"the input {entry.name!r} has no profile, so {_LATER}",
                    at=keyed(prefix, _KEYS[0]),
                )


def _text(dims: tuple[int, ...]) -> str:
    """Write dimensions as the parameter does."""
    return "x".join(map(str, dims))
