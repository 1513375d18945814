"""Compare two ways to compute: differences, flips and the smallest tolerance that would pass."""

from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np

from tritonforge import ranking
from tritonforge.errors import GateError
from tritonforge.gate.report import DEFAULTS, GateReport, OutputReport, Worst, rounded_up, summary
from tritonforge.gate.tally import Tally, distance_of
from tritonforge.spec import Tolerance
from tritonforge.tensors import Arrays

__all__ = [
    "DEFAULTS",
    "GateReport",
    "OutputReport",
    "Worst",
    "compare",
    "rounded_up",
    "summary",
]


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
    tallies: dict[str, Tally] = {}
    count = 0
    for want, got in pairs:
        for name, wanted in want.items():
            if name not in got:
                raise GateError(f"output {name!r} is missing; there are {', '.join(got)}")
            if name not in tallies:
                tallies[name] = Tally(name, wanted, tolerance, (noise or {}).get(name, 0.0))
        given = ranking.in_order(want, got, partial(_agree, tallies, want, got)) if ranked else got
        for name, wanted in want.items():
            tallies[name].add(count, wanted, given[name])
        count += 1
    outputs = tuple(tally.report() for tally in tallies.values())
    return GateReport(samples=count, outputs=outputs, half=tolerance.half)


def _agree(
    tallies: Mapping[str, Tally],
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
    within = tally.needed_of(distance_of(left, right), left) <= tally.allowed(want[name])
    return np.asarray(within.all(axis=tuple(range(1, within.ndim))))
