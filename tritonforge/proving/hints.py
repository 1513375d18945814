"""What to do where the numbers differ: of noise, of a NaN, of a step of quantization."""

import math
from pathlib import Path

import numpy as np

from tritonforge import graph
from tritonforge.gate import GateReport, OutputReport, rounded_up

_SLACK = 0.01  # of a step: what float arithmetic adds to a whole number of them


def hint(report: GateReport, path: Path, *, steady: bool) -> str:
    """Say what usually helps; `steady` says whether the model gives the same twice."""
    if not steady:
        return "the model itself gives other values each time; take noise and counters out of it"
    needed = max(output.passing_atol for output in report.outputs)
    if needed == math.inf:
        return "look for a NaN in the model: a division by zero, a log of zero, an overflow"
    return _of_quantized(report, path, needed) or (
        f"look at the report; where the difference is harmless, allow it with --atol {needed:g},"
        " else try another --exporter or --opset"
    )


def shapes(want: np.ndarray, got: np.ndarray) -> str:
    """Say how the shape of an output differs, and why it can where its size depends on values."""
    told = f"it has {list(got.shape)} where the model gives {list(want.shape)}"
    if got.ndim != want.ndim:
        return f"{told}; try another --exporter or --opset"
    return (
        f"{told}; where it holds what lies above a threshold, a rounding can move a value over it:"
        " give up the threshold, or take inputs by --sample that lie clear of it"
    )


def _of_quantized(report: GateReport, path: Path, needed: float) -> str | None:
    """Say by how many steps a quantized model differs, None of one that is not quantized."""
    model = graph.load(path)
    if not graph.is_quantized(model):
        return None
    steps, failed = graph.steps(model), [each for each in report.outputs if not each.passed]
    if any(each.name not in steps for each in failed):
        return (
            "the model is quantized: what lies between two steps may be rounded to either, and all"
            f" behind it follows; where that is harmless, allow it with --atol {needed:g}"
        )
    told = [_in_steps(each, steps[each.name]) for each in failed]
    whole = max(_count(each, steps[each.name]) * steps[each.name] for each in failed)
    return (
        f"{'; '.join(told)}; where that is harmless, allow it with --atol"
        f" {max(needed, rounded_up(whole)):g}"
    )


def _in_steps(output: OutputReport, step: float) -> str:
    """Say by how many steps an output differs."""
    count = _count(output, step)
    return (
        f"output {output.name!r} is quantized in steps of {step:.3g} and differs by {count}"
        f" {'step' if count == 1 else 'steps'}"
    )


def _count(output: OutputReport, step: float) -> int:
    """Return how many steps an output differs by, part of one taken for a whole."""
    return max(1, math.ceil(output.max_abs / step - _SLACK))
