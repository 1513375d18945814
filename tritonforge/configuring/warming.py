"""What a server runs before it is ready, so that engines and kernels exist before a request does.

Triton runs the samples of `model_warmup` in their order; their data lies in the model's folder
`warmup/`, one file an input. Source: core, `backend_model_instance.cc` (GenerateWarmupData).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tritonforge import pbtxt, samples
from tritonforge.errors import SpecError
from tritonforge.profiles import Profile, corners
from tritonforge.repository import Stage
from tritonforge.spec import ON_GPU, Domain, ModelSpec, Range, Warmup, valid_name
from tritonforge.tensors import Arrays, DType, Signature, texts

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
) -> None:
    """Add a sample for each batch bucket and each corner of the dimensions, and write its data."""
    kind = kind_of(spec, message)
    if kind == "none":
        return
    listed = [entry.name for entry in message.input]
    tensors = [each for each in signature.inputs if each.name in listed]
    batch = signature.batch if message.max_batch_size else None
    plan = [{}] if kind == "golden" else list(_corners(signature, spec, made, batch))
    for number, corner in enumerate(plan):
        sizes = {**corner, **({batch: 1} if batch else {})}
        arrays = golden
        if kind == "random":
            arrays = samples.draw(signature.inputs, drawn, sizes, spec.sample_seed)
        elif kind == "zero":
            arrays = {each.name: _zeros(each.dtype, each.shape(sizes)) for each in tensors}
        entries = {}
        for each in tensors:
            array = arrays[each.name][0] if batch else arrays[each.name]
            file = None if kind == "zero" else f"{number}-{valid_name(each.name)}"
            if file is not None:
                _write(stage.path / _FOLDER / file, each.dtype, array)
            entries[each.name] = (each.dtype, array.shape, file)
        for size in _buckets(message, spec, made, batch):
            pbtxt.add_warmup(message, _name(corner, size, batch), size, entries)


def _corners(
    signature: Signature, spec: ModelSpec, made: tuple[Profile, ...], batch: str | None
) -> Iterator[Mapping[str, int]]:
    """Yield the sizes of the dimensions beside the batch, the smallest first, then the largest."""
    names = [name for name in signature.dynamic if name != batch]
    if made:
        found = [{name: each[name] for name in names if name in each} for each in corners(made)]
        found.sort(key=lambda each: sum(each.values()))
        yield from _once([found[0], found[-1], *found])
        return
    ranges = dict(spec.ranges)
    ends = [_ends(ranges.get(name, Range())) for name in names]
    columns = [dict(zip(names, column, strict=True)) for column in zip(*ends, strict=True)]
    yield from _once(columns or [{}])


def _ends(size: Range) -> tuple[int, ...]:
    """Return the ends and the optimum of a range, or one middling size of an open one."""
    middle = samples.typical(["size"], {"size": size})["size"]
    if size.largest is None:
        return (middle,) * 3
    return size.low, size.largest, size.optimum or middle


def _once(found: Sequence[Mapping[str, int]]) -> Iterator[Mapping[str, int]]:
    """Yield each of them the first time."""
    for index, each in enumerate(found):
        if each not in found[:index]:
            yield each


def _buckets(
    message: Any, spec: ModelSpec, made: tuple[Profile, ...], batch: str | None
) -> Sequence[int]:
    """Return the batches to run: one, those that are preferred or tuned for, the largest."""
    if batch is None:
        return (1,)
    asked = {1, int(message.max_batch_size), *message.dynamic_batching.preferred_batch_size}
    asked |= {each.optimum[batch] for each in made if batch in each.optimum}
    optimum = dict(spec.ranges).get(batch, Range()).opt
    return sorted(asked | ({optimum} if optimum else set()))


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
