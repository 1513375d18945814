"""Tensors that a request has in other dims than the model: `reshape` in a config."""

from collections.abc import Sequence
from typing import Any

Dims = tuple[int, ...]  # as a config has them, without the batch: -1 is dynamic


def reshaped(shape: Sequence[int], have: Dims, want: Dims) -> Dims:
    """Return the shape in the dims `want` of an array whose shape has the dims `have`.

    The dynamic dimensions of both follow in one order, as the server has it (core,
    `infer_request.cc`, Normalize). Raises `ValueError` for a shape of another rank.
    """
    sizes = iter([size for dim, size in zip(have, shape, strict=True) if dim == -1])
    return tuple(next(sizes) if dim == -1 else dim for dim in want)


def sent(entry: Any, shape: Sequence[int]) -> Dims:
    """Return the shape that a request has of a tensor, of the one that the model has of it."""
    if not entry.HasField("reshape"):
        return tuple(shape) or (1,)
    return reshaped(shape, tuple(entry.reshape.shape), tuple(entry.dims))
