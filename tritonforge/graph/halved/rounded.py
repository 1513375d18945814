"""Weights as half floats: which of their values those cannot hold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

LARGEST = float(np.finfo(np.float16).max)
_SMALLEST = np.finfo(np.float16).smallest_subnormal
_NORMAL = np.finfo(np.float16).smallest_normal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded:
    """A weight as half floats; how many of its values were cut off, and how many are lost in 0."""

    tensor: TensorProto
    clipped: int
    flushed: int


def rounded(tensor: TensorProto) -> Rounded:
    """Round a weight of floats, to the ends of what half floats hold where it is beyond.

    A lone number does not become 0, for it may be what keeps a divisor from it.
    """
    values: Any = numpy_helper.to_array(tensor)
    beyond = np.isfinite(values) & (np.abs(values) > LARGEST)
    halves = np.where(beyond, np.copysign(LARGEST, values), values).astype(np.float16)
    gone = (halves == 0) & (values != 0)
    if values.size == 1:
        halves = np.where(gone, np.copysign(_SMALLEST, values), halves).astype(np.float16)
    return Rounded(
        tensor=numpy_helper.from_array(halves.reshape(values.shape), tensor.name),
        clipped=int(beyond.sum()),
        flushed=int(gone.sum()),
    )


def is_beyond(tensor: TensorProto) -> bool:
    """Say whether a weight has values beyond half floats; infinity is none."""
    values: Any = np.abs(numpy_helper.to_array(tensor))
    return bool(np.any((values > LARGEST) & np.isfinite(values)))


def is_fine(tensor: TensorProto) -> bool:
    """Say whether a weight has values so small that half floats tell them badly."""
    values: Any = np.abs(numpy_helper.to_array(tensor))
    return bool(np.any((values > 0) & (values < _NORMAL)))
