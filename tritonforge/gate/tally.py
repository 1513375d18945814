"""What has been seen of an output: its differences are counted, sample by sample."""

from typing import Any

import numpy as np

from tritonforge.errors import GateError
from tritonforge.gate.report import OutputReport, Worst, default
from tritonforge.spec import Tolerance
from tritonforge.tensors import DType


class Tally:
    """What has been seen of one output so far; one sample is held at a time."""

    def __init__(self, name: str, first: np.ndarray, tolerance: Tolerance, noise: float) -> None:
        self.name = name
        self.dtype = DType.from_numpy(first.dtype)
        atol, rtol = default(self.dtype, half=tolerance.half)
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
        distance = distance_of(want, got)
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


def distance_of(want: np.ndarray, got: np.ndarray) -> np.ndarray:
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
