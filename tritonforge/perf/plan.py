"""What to measure: levels, windows, inputs and the command line of `perf_analyzer`."""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tritonforge.errors import SpecError
from tritonforge.tensors import Arrays, texts

# Three windows are what perf_analyzer itself judges stability by; each of them lasts 1.2 times its
# interval (measured, and in `inference_profiler.cc`).
WINDOWS = 3
STRETCH = 1.2
# Sixteen levels and a warm-up each: 3 minutes for resnet50 on two cores, whatever the concurrency.
_INTERVAL_MS = 2000
# Every worker must finish a request or two within a window, or it holds no valid request.
_REQUESTS_PER_WORKER = 2
# perf_analyzer keeps the inputs and outputs of every request of a window: peak resident memory was
# 1.2 times the sum over one window (2429 requests of 602 kB in three windows: 581 MB).
_WINDOW_BYTES = 512 << 20
_SHORTEST_MS = 10
_WARM_UP = 8
_RECORD = "--profile-export-file"
# Of the user's own options those that a warm-up does without: perf_analyzer writes no record where
# one lies already, and the warm-up's length is ours to say.
_NOT_WHEN_WARMING = (_RECORD, "--request-count", "--warmup-request-count", "--measurement-mode")
_MOST_LEVELS = 1000
_MOST = 4096  # perf_analyzer makes one thread for each concurrent request

_LEVELS = re.compile(r"(\d{1,9})(?:\.\.(\d{1,9})(?:([:*])(\d{1,9}))?)?")


def levels(text: str) -> tuple[int, ...]:
    """Read `8`, `1,4,16`, `1..16` (every level), `1..16:5` (step) or `1..16*2` (doubling).

    The order is kept, repetitions are not. Raises `SpecError`.
    """
    found = [level for part in text.split(",") for level in _part(part.strip(), text)]
    return tuple(dict.fromkeys(found))


def _part(part: str, text: str) -> Sequence[int]:
    """Read one item of a list of levels."""
    match = _LEVELS.fullmatch(part)
    if match is None:
        raise SpecError(
            f"cannot read the concurrency {text!r}",
            hint="write 1..16 (every level), 1..16:5 (step), 1..16*2 (doubling), 1,4,16 or 8",
        )
    first, last, how, number = match.groups()
    low, high, by = int(first), int(last or first), int(number or 1)
    if not 1 <= low <= high <= _MOST:
        raise SpecError(
            f"the concurrency {part!r} is empty or not within 1..{_MOST}",
            hint="write the smaller number first",
        )
    if by < (2 if how == "*" else 1):
        raise SpecError(f"the concurrency {part!r} would never reach its end")
    found = _powers(low, high, by) if how == "*" else range(low, high + 1, by)
    if len(found) > _MOST_LEVELS:
        raise SpecError(
            f"the concurrency {part!r} has {len(found)} levels", hint="take a step, as in 1..4096*2"
        )
    return found


def _powers(low: int, high: int, factor: int) -> list[int]:
    """Multiply from `low` while it is not above `high`."""
    found = [low]
    while found[-1] * factor <= high:
        found.append(found[-1] * factor)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How to load a model, whichever it is.

    `interval_ms` is the length of a window, None for one that fits the model; `stability` the
    percentage by which windows may differ; `percentile` judges stability by that latency and not by
    the average. `extra` goes to `perf_analyzer` as it is.
    """

    concurrencies: tuple[int, ...]
    batch_size: int = 1
    interval_ms: int | None = None
    stability: float = 10.0
    percentile: int | None = None
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.concurrencies or min(self.concurrencies) < 1:
            raise SpecError("there is no concurrency to measure at")
        if self.batch_size < 1:
            raise SpecError("--batch-size must be 1 or more")
        if self.interval_ms is not None and self.interval_ms < 1:
            raise SpecError("--measurement-interval must be 1 ms or more")
        if self.stability <= 0:
            raise SpecError("--stability-percentage must be above 0")
        if self.percentile is not None and not 1 <= self.percentile <= 99:
            raise SpecError("--percentile must be within 1..99")
        if len(self.concurrencies) > 1 and _without(self.extra, (_RECORD,)) != list(self.extra):
            raise SpecError(
                "a --profile-export-file holds one level, and each level is a run of its own",
                hint="give one level, such as --concurrency 8",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfPlan:
    """What to measure: a model version at `address` (`host:port` of `protocol`) under a load.

    `request_bytes` is what `perf_analyzer` keeps of one request: a sample's inputs, all outputs.
    """

    model: str
    version: int | None
    address: str
    protocol: Literal["http", "grpc"]
    request_bytes: int
    load: Load


def window(plan: PerfPlan, *, request_rate: float, latency_us: float) -> int:
    """Return the window's length in ms for a level that serves `request_rate` requests a second.

    The plan's own interval, or one that lets every worker finish two requests; shorter where the
    inputs of one window would not fit into the memory set aside for them.
    """
    fitting = max(_INTERVAL_MS, int(_REQUESTS_PER_WORKER * latency_us / 1000))
    wanted = plan.load.interval_ms if plan.load.interval_ms is not None else fitting
    bytes_per_ms = request_rate / 1000 * max(plan.request_bytes, 1)
    held = int(_WINDOW_BYTES / STRETCH / bytes_per_ms) if bytes_per_ms > 0 else wanted
    return max(min(wanted, held), _SHORTEST_MS)


def warm_up_argv(program: Path, plan: PerfPlan, concurrency: int, files: "Files") -> list[str]:
    """Return the command for a few requests: they load what a first request of a size loads."""
    return [
        *_argv(program, plan, concurrency, files),
        "--request-count",
        str(warm_up_requests(concurrency)),
        *_without(plan.load.extra, _NOT_WHEN_WARMING),
    ]


def warm_up_requests(concurrency: int) -> int:
    """Return how many requests a warm-up sends."""
    return max(_REQUESTS_PER_WORKER * concurrency, _WARM_UP)


def _without(extra: Sequence[str], names: Sequence[str]) -> list[str]:
    """Leave out options with their values."""
    kept: list[str] = []
    left_out = False
    for argument in extra:
        name, equals, _ = argument.partition("=")
        if left_out:  # the value of the option before
            left_out = False
        elif name in names:
            left_out = not equals
        else:
            kept.append(argument)
    return kept


def argv(
    program: Path, plan: PerfPlan, concurrency: int, files: "Files", *, window_ms: int
) -> list[str]:
    """Return the command that measures one level in exactly three windows of `window_ms`.

    A level that perf_analyzer finds unstable loses its percentiles, so any spread is stable to it
    (`-s`), and whether the windows agree is judged here, by its own rule, from what `-v` prints.
    """
    return [
        *_argv(program, plan, concurrency, files),
        *("--measurement-interval", str(window_ms)),
        *("--max-trials", str(WINDOWS)),
        *("--stability-percentage", "1000000000"),
        *(("--percentile", str(plan.load.percentile)) if plan.load.percentile is not None else ()),
        *plan.load.extra,
    ]


def _argv(program: Path, plan: PerfPlan, concurrency: int, files: "Files") -> list[str]:
    """Return what both commands share."""
    return [
        *(str(program), "-m", plan.model),
        *(("-x", str(plan.version)) if plan.version is not None else ()),
        *("-u", plan.address, "-i", plan.protocol, "-b", str(plan.load.batch_size)),
        *("--input-data", str(files.inputs), "--concurrency-range", str(concurrency)),
        *("-f", str(files.csv), "-v"),
    ]


@dataclass(frozen=True, slots=True)
class Files:
    """Where a run's inputs are read and its results are written."""

    folder: Path

    @property
    def inputs(self) -> Path:
        """Return the file of samples."""
        return self.folder / "inputs.json"

    @property
    def csv(self) -> Path:
        """Return the file that `perf_analyzer` reports in."""
        return self.folder / "report.csv"


def write_inputs(samples: Sequence[Arrays], path: Path) -> None:
    """Write samples, batch dimension left out, as `--input-data` of `perf_analyzer`.

    Base64 of the raw bytes: exact, a quarter of the size of written numbers (3.2 MB against
    12.4 MB for four images of 3x224x224), and it takes half floats, which plain numbers do not.
    """
    steps = [
        {
            name: {"b64": base64.b64encode(_raw(array)).decode(), "shape": list(array.shape)}
            for name, array in sample.items()
        }
        for sample in samples
    ]
    path.write_text(json.dumps({"data": steps}), "utf-8")


def _raw(array: np.ndarray) -> bytes:
    """Return an array as Triton's protocol sends it: strings each behind its length."""
    if array.dtype.kind not in "OSU":
        return np.ascontiguousarray(array).tobytes()
    return b"".join(len(item).to_bytes(4, "little") + item for item in texts(array).flat)
