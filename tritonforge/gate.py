"""Compare two ways to compute: differences, flips and the smallest tolerance that would pass."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from functools import partial
from typing import Any

import numpy as np

from tritonforge import ranking
from tritonforge.errors import GateError
from tritonforge.spec import Tolerance
from tritonforge.tensors import Arrays, DType

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
            if each.atol > _default(DType.parse(each.dtype), half=self.half)[0]
        }

    @property
    def passed(self) -> bool:
        """Say whether every output passed on at least one sample."""
        return self.samples > 0 and all(output.passed for output in self.outputs)

    @property
    def uncompared(self) -> tuple[str, ...]:
        """Name the outputs that were empty in every sample, so that only their shapes agree."""
        return tuple(output.name for output in self.outputs if not output.elements)


def _default(dtype: DType, *, half: bool) -> tuple[float, float]:
    """Return the tolerance of an output of which nothing else is known."""
    return DEFAULTS.get(DType.FP16 if half and dtype.is_float else dtype, (0.0, 0.0))


def compare(
    pairs: Iterable[tuple[Arrays, Arrays]],
    tolerance: Tolerance,
    noise: Mapping[str, float] | None = None,
    *,
    ranked: bool = False,
) -> GateReport:
    """Compare wanted with given outputs, pair by pair.

    `noise` says how exact an output can be at all: an absolute tolerance that was not asked for is
    never smaller. `ranked` says that rows in the order of a score may change places where their
    scores agree. Raises `GateError` where a wanted output is missing or has another shape or
    dtype: then no number would mean anything.
    """
    tallies: dict[str, _Tally] = {}
    count = 0
    for want, got in pairs:
        for name, wanted in want.items():
            if name not in got:
                raise GateError(f"output {name!r} is missing; there are {', '.join(got)}")
            if name not in tallies:
                tallies[name] = _Tally(name, wanted, tolerance, (noise or {}).get(name, 0.0))
        given = ranking.in_order(want, got, partial(_agree, tallies, want, got)) if ranked else got
        for name, wanted in want.items():
            tallies[name].add(count, wanted, given[name])
        count += 1
    outputs = tuple(tally.report() for tally in tallies.values())
    return GateReport(samples=count, outputs=outputs, half=tolerance.half)


def _agree(
    tallies: "Mapping[str, _Tally]",
    want: Arrays,
    got: Arrays,
    name: str,
    wanted: np.ndarray,
    given: np.ndarray,
) -> np.ndarray:
    """Say which wanted rows of an output agree with the given ones, both by their numbers."""
    tally, left, right = tallies[name], want[name][wanted], got[name][given]
    if left.dtype != right.dtype:
        return np.zeros(len(left), dtype=bool)
    within = tally.needed_of(_distance(left, right), left) <= tally.allowed(want[name])
    return np.asarray(within.all(axis=tuple(range(1, within.ndim))))


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


class _Tally:
    """What has been seen of one output so far; one sample is held at a time."""

    def __init__(self, name: str, first: np.ndarray, tolerance: Tolerance, noise: float) -> None:
        self.name = name
        self.dtype = DType.from_numpy(first.dtype)
        atol, rtol = _default(self.dtype, half=tolerance.half)
        noisy = self.dtype.is_float and noise > atol
        self.atol = (noise if noisy else atol) if tolerance.atol is None else tolerance.atol
        self.shrinks = self.dtype.is_float and tolerance.atol is None and not noisy
        self.rtol = rtol if tolerance.rtol is None or not self.dtype.is_float else tolerance.rtol
        self.elements = self.mismatched = self.not_finite = 0
        self.rows = self.agreeing = self.flips = 0
        self.max_abs, self.needed, self.beyond = 0.0, -np.inf, -np.inf
        self.used = self.atol
        self.worst: Worst | None = None
        self.classifies = self.dtype.is_float and first.ndim == 2 and first.shape[1] > 1
        self.scores = self.dtype.is_float and first.ndim in {1, 2} and first[:1].size == 1

    def add(self, sample: int, want: np.ndarray, got: np.ndarray) -> None:
        """Take in one pair of arrays."""
        if DType.from_numpy(got.dtype) is not self.dtype or got.shape != want.shape:
            raise GateError(
                f"output {self.name!r} is {got.dtype} {list(got.shape)}"
                f" where {want.dtype} {list(want.shape)} is wanted"
            )
        if want.size == 0:
            return
        distance = _distance(want, got)
        needed, allowed = self.needed_of(distance, want), self.allowed(want)
        self.elements += want.size
        if self.dtype.is_float:
            self.not_finite += int(np.count_nonzero(~np.isfinite(want)))
        self.mismatched += int(np.count_nonzero(needed > allowed))
        self.max_abs = max(self.max_abs, float(distance.max()))
        at = int(np.argmax(needed))
        self.needed = max(self.needed, float(needed.flat[at]))
        if needed.flat[at] - allowed > self.beyond:
            self.beyond, self.used = float(needed.flat[at]) - allowed, allowed
            index = tuple(map(int, np.unravel_index(at, want.shape)))
            self.worst = Worst(
                sample=sample, index=index, want=_shown(want[index]), got=_shown(got[index])
            )
        self._decide(want, got)

    def allowed(self, want: np.ndarray) -> float:
        """Return the absolute tolerance of one array.

        One that no one asked for shrinks with an array all of which is below 1: else an output that
        is tiny everywhere could never fail.
        """
        if not self.shrinks:
            return self.atol
        finite = np.abs(want[np.isfinite(want)])
        return self.atol * min(1.0, float(finite.max(initial=0.0)))

    def needed_of(self, distance: np.ndarray, want: np.ndarray) -> np.ndarray:
        """Return the absolute tolerance that each element takes beside the relative one."""
        if not self.dtype.is_float:
            return distance
        with np.errstate(invalid="ignore", over="ignore"):
            size = np.abs(want, dtype=np.float64)
            apart = distance - self.rtol * np.where(np.isfinite(size), size, 0.0)
        return np.where(np.isinf(distance), np.inf, apart)

    def _decide(self, want: np.ndarray, got: np.ndarray) -> None:
        """Count what a person would decide differently."""
        if self.classifies:
            told = ~np.isnan(want).any(axis=1)  # a row with NaN has no largest element
            self.rows += int(np.count_nonzero(told))
            same = want.argmax(axis=1) == got.argmax(axis=1)
            self.agreeing += int(np.count_nonzero(same & told))
        if self.scores:
            threshold = 0.5 if float(want.min()) >= 0 and float(want.max()) <= 1 else 0.0
            self.flips += int(np.count_nonzero((want > threshold) != (got > threshold)))

    def report(self) -> OutputReport:
        """Sum up."""
        return OutputReport(
            name=self.name,
            dtype=self.dtype.name,
            atol=self.used,
            rtol=self.rtol,
            elements=self.elements,
            mismatched=self.mismatched,
            max_abs=self.max_abs,
            needed_atol=max(self.needed, 0.0),
            top1=self.agreeing / self.rows if self.classifies and self.rows else None,
            flips=self.flips if self.scores else None,
            not_finite=self.not_finite,
            worst=self.worst,
        )


def _distance(want: np.ndarray, got: np.ndarray) -> np.ndarray:
    """Return |got - want| as float64: infinite where only one is NaN or an infinity differs.

    Strings are 0 or infinitely far apart.
    """
    if want.dtype.kind in "OSU":
        texts = np.vectorize(_text, otypes=[object])
        return np.where((texts(want) == texts(got)).astype(bool), 0.0, np.inf)
    if want.dtype.kind not in "fc":
        larger, smaller = (pick(want, got).astype(np.uint64) for pick in (np.maximum, np.minimum))
        with np.errstate(over="ignore"):  # modulo 2^64, so exact
            return np.asarray((larger - smaller).astype(np.float64))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(got.astype(np.float64) - want.astype(np.float64))
    equal = (want == got) | (np.isnan(want) & np.isnan(got))
    return np.where(equal, 0.0, np.where(np.isnan(apart), np.inf, apart))


def _text(value: object) -> str:
    """Read a string element, bytes or str, as text."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _shown(value: Any) -> str:
    """Print one element with enough digits to tell two apart."""
    return f"{value:.9g}" if isinstance(value, np.floating) else str(value)
