"""What a comparison found: per output the differences, and the tolerance that it takes."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context

import numpy as np

from tritonforge.tensors import DType

# Absolute (for values around 1) and relative, by dtype: what float arithmetic in another order
# explains, no more. Whole numbers, booleans and strings must agree exactly.
DEFAULTS = {DType.FP16: (1e-2, 1e-2), DType.FP32: (1e-4, 1e-3), DType.FP64: (1e-8, 1e-6)}


def rounded_up(number: float) -> float:
    """Round a number up to three digits."""
    return float(Context(prec=3, rounding=ROUND_CEILING).create_decimal(number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The element that lies farthest beyond (or nearest to) its tolerance."""

    sample: int
    index: tuple[int, ...]
    want: str
    got: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReport:
    """One output over all samples.

    `atol` is the absolute tolerance at the worst element, which may be less than the dtype's.
    `max_abs` is the largest |got - want|; `needed_atol` the smallest absolute tolerance that would
    pass beside `rtol`; `mismatched` counts the elements beyond tolerance. `top1` is the share of
    rows whose largest element is the same one (classifiers), `flips` counts rows whose single score
    lands on the other side of its threshold; None where the output is no such thing. `not_finite`
    counts wanted elements that are NaN or infinite: both sides may agree on them and be useless.
    """

    name: str
    dtype: str
    atol: float
    rtol: float
    elements: int
    mismatched: int
    max_abs: float
    needed_atol: float
    top1: float | None
    flips: int | None
    not_finite: int
    worst: Worst | None

    @property
    def passed(self) -> bool:
        """Say whether every element is within tolerance."""
        return self.mismatched == 0

    @property
    def verdict(self) -> str:
        """Say `pass` or `FAIL`, or `empty` where there was nothing to compare."""
        if not self.elements:
            return "empty"
        return "pass" if self.passed else "FAIL"

    @property
    def passing_atol(self) -> float:
        """Return the needed tolerance in three digits, rounded up: what a person reads passes."""
        return rounded_up(self.needed_atol)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """All outputs over all samples; `half` says that half floats were expected."""

    samples: int
    outputs: tuple[OutputReport, ...]
    half: bool = False

    @property
    def noise(self) -> dict[str, float]:
        """Return the absolute tolerance of each output that was judged by its own exactness."""
        return {
            each.name: each.atol
            for each in self.outputs
            if each.atol > default(DType.parse(each.dtype), half=self.half)[0]
        }

    @property
    def passed(self) -> bool:
        """Say whether every output passed on at least one sample."""
        return self.samples > 0 and all(output.passed for output in self.outputs)

    @property
    def uncompared(self) -> tuple[str, ...]:
        """Name the outputs that were empty in every sample, so that only their shapes agree."""
        return tuple(output.name for output in self.outputs if not output.elements)


def default(dtype: DType, *, half: bool) -> tuple[float, float]:
    """Return the tolerance of an output of which nothing else is known."""
    return DEFAULTS.get(DType.FP16 if half and dtype.is_float else dtype, (0.0, 0.0))


def summary(report: GateReport) -> str:
    """Say in one sentence which output differs most and which tolerance it would take."""
    failed = [output for output in report.outputs if not output.passed]
    if not failed:
        return f"{report.samples} samples agree"
    worst = max(failed, key=lambda output: output.mismatched / max(output.elements, 1))
    where = ""
    if worst.worst is not None:
        at = ", ".join(map(str, worst.worst.index))
        where = (
            f" at [{at}] (sample {worst.worst.sample}): {worst.worst.got} for {worst.worst.want}"
        )
    hopeless = worst.needed_atol == np.inf
    take = "no tolerance would pass" if hopeless else f"it would take --atol {worst.passing_atol:g}"
    return (
        f"output {worst.name!r} differs{where}; {worst.mismatched} of {worst.elements} elements"
        f" are beyond atol {worst.atol:.3g} + rtol {worst.rtol:g}, {take}"
    )
