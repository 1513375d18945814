"""What a misfit is, and how it is told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from tritonclient.grpc import model_config_pb2

from tritonforge.tensors import DType, Value

Kind = Literal[
    "input",
    "output",
    "unlisted",
    "unlisted in their number",
    "count",
    "form",
    "dtype",
    "rank",
    "size of input",
    "size of output",
    "batch",
    "batch of others",
    "scalar",
    "scalar in batch",
    "shape in doubt",
    "ragged",
    "control",
    "text as control",
    "state",
    "state's shape",
    "batch input",
    "batch input's type",
]
_NAMED = 8  # names or numbers in a sentence
_NEAR = 0.6
_BFLOAT16 = "tensor(bfloat16)"  # none that numpy has


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why a config does not fit a file, in a sentence without an end.

    `at` is its place in the config, such as `input[x].dims[1]`. `mends` are edits that make it fit
    and leave no doubt: a path and the value that it gets, as it is written.
    """

    kind: Kind
    at: str
    said: str
    mends: tuple[tuple[str, str], ...] = ()


def configured(value: Value) -> str | None:
    """Return the type of a file's tensor as a config says it, None where Triton has none for it."""
    if value.type == _BFLOAT16:
        return "TYPE_BF16"
    known = (each.config for each in DType if value.type == f"tensor({each.element})")
    return next(known, None)


def type_of(entry: Any) -> str:
    """Return the type that an entry of a config has, such as `TYPE_FP32`."""
    named = model_config_pb2.DataType.DESCRIPTOR.values_by_number.get(entry.data_type)
    return str(named.name if named else entry.data_type)


def together(known: Iterable[Value]) -> str:
    """Name tensors of a file in a sentence."""
    every = [each.name for each in known]
    return (", ".join(every[:_NAMED]) or "none") + (" …" if len(every) > _NAMED else "")


def sizes(dims: Sequence[int]) -> str:
    """Write dims in a sentence."""
    more = ", …" if len(dims) > _NAMED else ""
    return f"[{', '.join(map(str, dims[:_NAMED]))}{more}]"


def near(name: str, known: Iterable[str]) -> str | None:
    """Return the one name that is probably meant, None where there is none or are several."""
    known = [*known]
    alike = [each for each in known if each.lower() == name.lower()]
    if len(alike) == 1:
        return alike[0]
    found = get_close_matches(name, known, n=2, cutoff=_NEAR)
    return found[0] if len(found) == 1 else None
