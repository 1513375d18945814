"""Arrays that make sense for a model: from its inputs, their domains, sizes and a seed."""

from collections.abc import Iterator, Mapping, Sequence
from math import isqrt, prod
from zlib import crc32

import numpy as np

from tritonforge.errors import SpecError
from tritonforge.spec import Domain, Range
from tritonforge.tensors import Arrays, DType, TensorSpec

# How far a dimension without an upper end is tried, and the size that stands for it elsewhere.
_OPEN_END = 64
_TYPICAL = 16

Sizes = Mapping[str, int]


def draw(
    inputs: Sequence[TensorSpec], domains: Mapping[str, Domain], sizes: Sizes, seed: int
) -> Arrays:
    """Draw one array per input, its dynamic dimensions sized by `sizes`.

    The same arguments give the same arrays on every machine (numpy PCG64). Raises `SpecError` for
    a domain of whole numbers none of which the dtype can hold, and beyond the memory.
    """
    arrays = {}
    for number, tensor in enumerate(inputs):
        shape, rng = tensor.shape(sizes), np.random.default_rng([seed, number])
        try:
            domain = domains.get(tensor.name)
            if domain is not None and domain.kind == "recorded":
                arrays[tensor.name] = _recorded(tensor, domain.values, shape, seed)
            else:
                arrays[tensor.name] = _array(tensor, domain, shape, rng)
        except (MemoryError, ValueError) as error:
            raise SpecError(
                f"input {tensor.name!r} of shape {list(shape)} does not fit into memory",
                hint="bound its dimensions with --range, or batches with --max-batch-size",
            ) from error
    return arrays


def _array(
    tensor: TensorSpec, domain: Domain | None, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Draw one array within its domain."""
    dtype = tensor.dtype
    domain = domain or Domain.default(dtype)
    if dtype is DType.BYTES:
        texts = [f"text {number}".encode() for number in rng.integers(0, 1000, int(np.prod(shape)))]
        return np.array(texts, dtype=object).reshape(shape)
    if domain.kind == "mask":
        return _mask(shape, rng).astype(dtype.numpy)
    if domain.kind == "boxes":
        return _boxes(rng.integers(*_holdable(tensor, domain), shape)).astype(dtype.numpy)
    if domain.kind == "integers" and not dtype.is_float:
        return rng.integers(*_holdable(tensor, domain), shape).astype(dtype.numpy)
    if domain.kind in {"uniform", "integers"}:
        array = rng.uniform(domain.low, domain.high, shape).astype(dtype.numpy)
        middle = np.array((domain.low + domain.high) / 2).astype(dtype.numpy)
        # A narrow float rounds onto the end, which the domain leaves out: log(1 - x) would mind.
        return np.where((array >= domain.low) & (array < domain.high), array, middle)
    return rng.normal(domain.low, domain.high, shape).astype(dtype.numpy)


def _recorded(
    tensor: TensorSpec, values: Sequence[np.ndarray], shape: tuple[int, ...], seed: int
) -> np.ndarray:
    """Take the recorded array whose turn it is, cut or repeated along each axis to fit.

    A shape of one dimension less is a row of it, one of as many elements the wire's own form.
    """
    if not values:
        raise SpecError(
            f"the recorded values of {tensor.name!r} are not there",
            hint="recorded.npz has gone or was altered: build the version again",
        )
    array = values[seed % len(values)]
    if array.ndim == len(shape) + 1 and len(array):
        array = array[seed // len(values) % len(array)]
    if array.shape == shape:
        return array
    if array.ndim != len(shape) and array.size == np.prod(shape, dtype=int):
        return array.reshape(shape)
    if array.ndim != len(shape) or not array.size:
        raise SpecError(
            f"the recorded {tensor.name!r} of shape {list(array.shape)} does not make one of"
            f" shape {list(shape)}",
            hint="record samples of the sizes that are to be served",
        )
    for axis, size in enumerate(shape):
        array = np.take(array, np.arange(size) % array.shape[axis], axis)
    return array


def _holdable(tensor: TensorSpec, domain: Domain) -> tuple[int, int]:
    """Return the ends of the whole numbers of a domain that the dtype can hold."""
    kind = tensor.dtype.numpy.kind
    limits = np.iinfo(tensor.dtype.numpy if kind in "iu" else np.int64)
    least, most = (0, 1) if kind == "b" else (int(limits.min), int(limits.max))
    low, high = max(int(domain.low), least), min(int(domain.high), most + 1)
    if low >= high:
        raise SpecError(
            f"the domain {domain} of input {tensor.name!r} holds nothing that"
            f" {tensor.dtype.name} can",
            hint=f"give numbers within {least}..{most}",
        )
    return low, high


def _mask(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Pad as a tokenizer does: each row has at least one 1, then zeros to the end."""
    if not shape:
        return np.ones(())
    lengths = rng.integers(1, max(shape[-1], 1) + 1, (*shape[:-1], 1))
    return np.asarray(np.arange(shape[-1]) < lengths)


def _boxes(drawn: np.ndarray) -> np.ndarray:
    """Put the corners of boxes in order: the first is above the second, and left of it."""
    if not drawn.ndim or drawn.shape[-1] % 2:
        return drawn
    corners = np.sort(drawn.reshape(*drawn.shape[:-1], 2, -1), axis=-2)
    return np.asarray(corners.reshape(drawn.shape))


def completed(
    arrays: Arrays, inputs: Sequence[TensorSpec], domains: Mapping[str, Domain]
) -> Arrays:
    """Draw the inputs that are missing, in the sizes of the others.

    They differ from sample to sample, and are the same for the same one: a model that minds them
    is not what a file without them computes.
    """
    missing = [each for each in inputs if each.name not in arrays]
    if not missing:
        return arrays
    sizes = {
        dim: size
        for each in inputs
        if each.name in arrays
        for dim, size in zip(each.dims, arrays[each.name].shape, strict=True)
        if isinstance(dim, str)
    }
    lone = {dim: sizes.get(dim, 1) for each in missing for dim in each.dynamic}
    return {**arrays, **draw(missing, domains, lone, _seed_of(arrays))}


def _seed_of(arrays: Arrays) -> int:
    """Return a seed by the values of arrays."""
    found = 0
    for _, array in sorted(arrays.items()):
        plain = repr(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes()
        found = crc32(plain, found)
    return found


def typical(dynamic: Sequence[str], ranges: Mapping[str, Range]) -> dict[str, int]:
    """Return one size per dynamic dimension, half-way between the ends: what a request may cost."""
    return {name: _between(ranges.get(name, Range())) for name in dynamic}


def middling(dynamic: Sequence[str], ranges: Mapping[str, Range]) -> dict[str, int]:
    """Return one size per dynamic dimension, half-way by ratio: as far from one end as the other.

    Of 1 to 512 that is 22: neither 1 nor a sum of hundreds, and cheap where a proof asks often.
    """
    return {name: _by_ratio(ranges.get(name, Range())) for name in dynamic}


def sweep(
    dynamic: Sequence[str], ranges: Mapping[str, Range], *, batch: str | None, max_batch_size: int
) -> Iterator[Sizes]:
    """Name the sizes that a proof covers: 1, 2, an odd size and the maximum for the batch.

    The other dimensions go through their ends and two sizes in the middle, an odd and an even one.
    The lists run side by side, so that no product explodes: the larger the batch, the smaller the
    rest, for what a model does wrong at a batch or at a length it does without the other. What is
    largest in both only takes longest.
    """
    others = sorted(_beside(dynamic, ranges, batch), key=_volume)
    if batch not in dynamic:
        yield from others
        return
    batches = _batches(max_batch_size)
    count = max(len(others), len(batches))
    for row in range(count):
        size = batches[_place(row, count, len(batches))]
        rest = others[-1 - _place(row, count, len(others))]
        yield {name: size if name == batch else rest[name] for name in dynamic}


def _beside(
    dynamic: Sequence[str], ranges: Mapping[str, Range], batch: str | None
) -> Iterator[Sizes]:
    """Name the sizes of all dimensions but the batch.

    Each is a step behind the one before: a model may mind whether two sizes are equal. The last
    ones are middling, equal where their ranges are.
    """
    columns = {name: _steps(ranges.get(name, Range())) for name in dynamic if name != batch}
    for row in range(max(map(len, columns.values()), default=1)):
        yield {
            name: steps[(row + shift) % len(steps)]
            for shift, (name, steps) in enumerate(columns.items())
        }
    if len(columns) > 1:
        yield middling([*columns], ranges)


def _volume(sizes: Sizes) -> int:
    """Return what a sample's cost grows with, about."""
    return prod(sizes.values())


def _place(row: int, count: int, length: int) -> int:
    """Return which item of a shorter list stands in a row; those of the middle stand in several."""
    last, gaps = length - 1, max(count - 1, 1)
    return (2 * row * last + gaps) // (2 * gaps)


def _batches(maximum: int) -> list[int]:
    """Return 1, 2, an odd size and the maximum, as far as `maximum` goes."""
    odd = min(5, maximum - 1 if maximum % 2 == 0 else maximum)
    return sorted({size for size in (1, 2, odd, maximum) if 1 <= size <= max(maximum, 1)})


def _steps(size: Range) -> list[int]:
    """Return both ends, a middling size and the next one, as far as the range has them."""
    high = size.high if size.high is not None else max(_OPEN_END, size.low)
    middle = _by_ratio(size)
    wanted = (size.low, middle, middle + 1, high)
    return sorted({min(size.nearest(each), size.nearest(high)) for each in wanted})


def _between(size: Range) -> int:
    """Return a size in the middle of a range, a modest one where the range is open."""
    if size.high is None:
        return size.nearest(max(size.low, _TYPICAL))
    return size.nearest((size.low + size.high + 1) // 2)


def _by_ratio(size: Range) -> int:
    """Return a size in the middle of a range by ratio, a modest one where the range is open."""
    if size.high is None:
        return _between(size)
    return size.nearest(isqrt(size.low * size.high))
