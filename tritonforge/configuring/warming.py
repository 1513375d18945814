"""What a server runs before it is ready, so that engines and kernels exist before a request does.

Triton runs the samples of `model_warmup` in their order; their data lies in the model's folder
`warmup/`, one file an input. Source: core, `backend_model_instance.cc` (GenerateWarmupData).
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tritonforge import pbtxt, samples
from tritonforge.errors import SpecError
from tritonforge.profiles import Profile
from tritonforge.repository import Stage
from tritonforge.spec import ON_GPU, Domain, ModelSpec, Range, Warmup, valid_name
from tritonforge.tensors import Arrays, DType, Signature, texts

Corner = tuple[tuple[str, int], ...]  # sizes of dimensions

_FOLDER = "warmup"


def kind_of(spec: ModelSpec, message: Any) -> Warmup:
    """Return what to warm up with: what was said, else random on a GPU, where it pays.

    Nothing where a person wrote the samples, or where requests belong to sequences: a sample is of
    none, and tritonserver 2.51 dies of it (SIGSEGV). Raises `SpecError` where it was asked for.
    """
    if pbtxt.is_sequential(message):
        if message.model_warmup or spec.warmup not in {None, "none"}:
            raise SpecError(
                "a warm-up sample belongs to no sequence, and a server dies of it",
                hint='leave warmup out, or write warmup = "none"',
                at=("warmup",),
            )
        return "none"
    if message.model_warmup:
        return "none"
    if spec.warmup is not None:
        return spec.warmup
    return "random" if spec.accelerator in ON_GPU else "none"


def warm(
    message: Any,
    spec: ModelSpec,
    signature: Signature,
    made: tuple[Profile, ...],
    drawn: Mapping[str, Domain],
    golden: Arrays,
    stage: Stage,
) -> str | None:
    """Add a sample for each batch bucket and each corner of the dimensions, and write its data.

    Returns the reason for them, None where there are none of ours.
    """
    kind = kind_of(spec, message)
    if kind == "none":
        return None
    listed = [entry.name for entry in message.input]
    tensors = [each for each in signature.inputs if each.name in listed]
    batch = signature.batch if message.max_batch_size else None
    plan = _plan(signature, spec, made, batch, _asked(message, spec, batch))
    if kind == "golden":
        plan = [((), sorted({size for _, sizes in plan for size in sizes}))]
    for number, (corner, buckets) in enumerate(plan):
        sizes = {**dict(corner), **({batch: 1} if batch else {})}
        arrays = golden
        if kind == "random":
            arrays = samples.draw(signature.inputs, drawn, sizes, spec.sample_seed)
        elif kind == "zero":
            arrays = {each.name: _zeros(each.dtype, each.shape(sizes)) for each in tensors}
        entries = {}
        for place, each in enumerate(tensors):
            array = arrays[each.name][0] if batch else arrays[each.name]
            file = None if kind == "zero" else f"{number}-{place}-{valid_name(each.name)}"
            if file is not None:
                _write(stage.path / _FOLDER / file, each.dtype, array)
            entries[each.name] = (each.dtype, array.shape, file)
        for size in buckets:
            pbtxt.add_warmup(message, _name(dict(corner), size, batch), size, entries)
    return _reason(dict.fromkeys(name for corner, _ in plan for name, _ in corner), spec)


def _reason(names: Iterable[str], spec: ModelSpec) -> str:
    """Say what the samples are for, over those dimensions."""
    where = f" at the ends and the optimum of {' and '.join(names)}" if names else ""
    what = "engines" if spec.accelerator == "tensorrt" else "kernels"
    return f"run before the server is ready{where}, so that no request waits for {what}"


def _plan(
    signature: Signature,
    spec: ModelSpec,
    made: tuple[Profile, ...],
    batch: str | None,
    asked: frozenset[int],
) -> Sequence[tuple[Corner, Sequence[int]]]:
    """Return the corners of the dimensions beside the batch, each with the batches to run there.

    What a profile does not cover is not asked of it. The smallest corner comes first, the largest
    next: where there are no profiles, an engine is built for each and fits all between.
    """
    names = [name for name in signature.dynamic if name != batch]
    found: dict[Corner, set[int]] = {}
    for profile in made:
        ends = (profile.smallest, profile.optimum, profile.largest)
        own = {each.get(batch or "", 1) for each in ends}
        own |= {size for size in asked if min(own) <= size <= max(own)}
        for each in ends:
            corner = tuple((name, each[name]) for name in names if name in each)
            found.setdefault(corner, set()).update(own)
    if not made:
        ranges = dict(spec.ranges)
        ends_of = [_ends(ranges.get(name, Range())) for name in names]
        for column in zip(*ends_of, strict=True) if names else [()]:
            found.setdefault(tuple(zip(names, column, strict=True)), set()).update(asked)
    rising = sorted(found, key=lambda corner: sum(size for _, size in corner))
    return [(each, sorted(found[each])) for each in dict.fromkeys([rising[0], rising[-1], *rising])]


def _ends(size: Range) -> tuple[int, ...]:
    """Return the ends and the optimum of a range, or one middling size of an open one."""
    middle = samples.typical(["size"], {"size": size})["size"]
    if size.largest is None:
        return (middle,) * 3
    return size.low, size.largest, size.optimum or middle


def _asked(message: Any, spec: ModelSpec, batch: str | None) -> frozenset[int]:
    """Return the batches to run: one, those that are preferred or tuned for, the largest."""
    if batch is None:
        return frozenset({1})
    optimum = dict(spec.ranges).get(batch, Range()).opt
    preferred = message.dynamic_batching.preferred_batch_size
    return frozenset(filter(None, (1, int(message.max_batch_size), optimum, *preferred)))


def _name(corner: Mapping[str, int], size: int, batch: str | None) -> str:
    """Name a sample by its sizes."""
    parts = [f"{dim} {value}" for dim, value in corner.items()]
    return ", ".join(([f"batch {size}"] if batch else []) + parts) or "once"


def _zeros(dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of zeros, of empty texts."""
    return np.full(shape, b"", object) if dtype is DType.BYTES else np.zeros(shape, dtype.numpy)


def _write(path: Path, dtype: DType, array: np.ndarray) -> None:
    """Write the values of an input as the server reads them: little endian, texts by length."""
    path.parent.mkdir(exist_ok=True)
    if dtype is not DType.BYTES:
        path.write_bytes(
            np.ascontiguousarray(array).astype(dtype.numpy.newbyteorder("<")).tobytes()
        )
        return
    data = [bytes(item) for item in texts(array).flat]
    path.write_bytes(b"".join(struct.pack("<I", len(each)) + each for each in data))
