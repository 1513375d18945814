"""The weights of a model, told without their values."""

from dataclasses import dataclass
from math import prod

from onnx import ModelProto, TensorProto

from tritonforge.graph import cost
from tritonforge.graph.external import tensors
from tritonforge.graph.typed import element


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """All weights of a dtype: how many tensors, elements and bytes."""

    dtype: str
    tensors: int
    elements: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One tensor; `location` is the file that it lies in, None for the model's own."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    bytes: int
    location: str | None


def weights(model: ModelProto) -> tuple[Weights, ...]:
    """Sum up the weights by dtype, those in subgraphs and Constants too; the largest first."""
    by_dtype: dict[int, list[TensorProto]] = {}
    for tensor in tensors(model):
        by_dtype.setdefault(tensor.data_type, []).append(tensor)
    found = [
        Weights(
            dtype=element(dtype),
            tensors=len(group),
            elements=sum(prod(each.dims) for each in group),
            bytes=sum(map(cost.size_of, group)),
        )
        for dtype, group in by_dtype.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.bytes, each.dtype)))


def largest(model: ModelProto, count: int) -> tuple[Weight, ...]:
    """Return the weights that take the most bytes."""
    found = sorted(tensors(model), key=cost.size_of, reverse=True)[:count]
    return tuple(
        Weight(
            name=each.name,
            dtype=element(each.data_type),
            dims=tuple(each.dims),
            bytes=cost.size_of(each),
            location=_location(each),
        )
        for each in found
    )


def _location(tensor: TensorProto) -> str | None:
    if tensor.data_location != TensorProto.EXTERNAL:
        return None
    return next((each.value for each in tensor.external_data if each.key == "location"), "")
