"""The values that an input holds."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tritonforge.errors import SpecError
from tritonforge.spec.written import split
from tritonforge.tensors import DType

DomainKind = Literal["normal", "uniform", "integers", "mask", "boxes", "recorded"]
BOXES = 1000  # a box counts thousandths of its page
_WIDEST = 2**63  # numbers are drawn as 64 bit integers and floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What values an input holds, so that samples make sense.

    `normal`: mean `low`, deviation `high`. `uniform`: `low` ≤ x < `high`. `integers`: the same in
    whole numbers, such as token ids below a vocabulary; a float input is drawn as `uniform`.
    `mask`: ones then zeros along the last dimension, at least one 1, as tokenizers pad.
    `boxes`: four whole numbers from `low` to below `high` along the last dimension, two corners of
    which the second is not before the first, as documents' layouts have them.
    `recorded`: the arrays of `values` in turn, cut or repeated to the size that is asked for.
    """

    kind: DomainKind
    low: float = 0
    high: float = 1
    values: tuple[np.ndarray, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind in {"uniform", "integers", "boxes"} and not self.low < self.high:
            raise SpecError(
                f"the domain {self.low}..{self.high} is empty",
                hint="its end is not in it: 1..2 of whole numbers holds 1",
            )
        if not all(abs(end) <= _WIDEST for end in (self.low, self.high)):
            raise SpecError(f"the domain {self.low}..{self.high} is wider than 64 bits")

    @classmethod
    def default(cls, dtype: DType) -> "Domain":
        """Return the plain domain of a dtype: standard normal floats, whole numbers 0 and 1."""
        return cls(kind="normal") if dtype.is_float else cls(kind="integers", low=0, high=2)

    @classmethod
    def parse(cls, text: str) -> "tuple[str, Domain]":
        """Read `ids=0..30000` (the end left out), `x=0..1.5`, `m=mask`, `b=boxes`, `x=normal`."""
        name, value = split(text, "--domain", "ids=0..30000")
        if value == "mask":
            return name, cls(kind="mask")
        if value == "normal":
            return name, cls(kind="normal")
        if value == "boxes":
            return name, cls(kind="boxes", high=BOXES)
        low, _, high = value.partition("..")
        try:
            whole = all(end.strip().lstrip("-").isdigit() for end in (low, high))
            kind: DomainKind = "integers" if whole else "uniform"
            ends = (int(low), int(high)) if whole else (float(low), float(high))
        except ValueError as error:
            raise SpecError(
                f"cannot read --domain {text!r}",
                hint="write NAME=LOW..HIGH, NAME=mask, NAME=boxes or NAME=normal",
            ) from error
        return name, cls(kind=kind, low=ends[0], high=ends[1])

    @property
    def written(self) -> str:
        """Return the text that `parse` reads behind the name."""
        if self.kind in {"integers", "uniform"}:
            number = int if self.kind == "integers" else float
            return f"{number(self.low)}..{number(self.high)}"
        return self.kind

    def __str__(self) -> str:
        ends = "" if self.kind in {"mask", "recorded"} else f" {self.low:g}..{self.high:g}"
        return f"{self.kind}{ends}"
