"""What a person writes in one word: an input, a size."""

import re

from tritonforge.errors import SpecError
from tritonforge.tensors import Dim, DType, TensorSpec

_DIM = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_input(text: str) -> TensorSpec:
    """Read `ids:INT64:batch,seq`: a name is a dynamic dimension, a number a fixed one.

    An empty third part is a scalar. Raises `SpecError`.
    """
    parts = text.rsplit(":", 2)
    if len(parts) != 3 or not parts[0]:
        raise SpecError(f"cannot read --input {text!r}", hint="write ids:INT64:batch,seq")
    name, dtype, dims = parts
    written = [dim.strip() for dim in dims.split(",")] if dims else []
    return TensorSpec(
        name=name, dtype=DType.parse(dtype), dims=tuple(_dim(dim, text) for dim in written)
    )


def parse_size(text: str) -> tuple[str, int]:
    """Read `batch=8`, the size of a dynamic dimension; raises `SpecError`."""
    dim, _, size = text.partition("=")
    if not _DIM.fullmatch(dim) or not re.fullmatch(r"[0-9]{1,9}", size):
        raise SpecError(f"cannot read --size {text!r}", hint="write batch=8")
    return dim, int(size)


def _dim(dim: str, text: str) -> Dim:
    """Read one dimension of an `--input`."""
    if re.fullmatch(r"[0-9]{1,18}", dim) and int(dim) > 0:
        return int(dim)
    if _DIM.fullmatch(dim):
        return dim
    raise SpecError(
        f"cannot read the dimension {dim!r} of --input {text!r}",
        hint="a number from 1 up is fixed, a name such as batch or seq is dynamic",
    )


def split(text: str, option: str, example: str) -> tuple[str, str]:
    """Split `name=value`."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise SpecError(f"cannot read {option} {text!r}", hint=f"write {example}")
    return name, value
