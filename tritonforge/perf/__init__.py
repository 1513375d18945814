"""Drive the real `perf_analyzer`: plan to command lines, a run a level, records to a report.

One level a run: a sweep within one run ends at the first level that does not settle, reports none
that did not, and sorts the others by throughput.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tritonforge import leftovers, process
from tritonforge.errors import ForgeError, PerfError
from tritonforge.perf import plan as planning
from tritonforge.perf import records
from tritonforge.perf.plan import STRETCH, WINDOWS, Files, Load, PerfPlan, levels
from tritonforge.perf.report import (
    Counters,
    Failure,
    Level,
    PerfReport,
    Window,
    interrupted,
)
from tritonforge.process import Finished
from tritonforge.progress import Progress, silent
from tritonforge.tensors import Arrays

__all__ = [
    "Counters",
    "Failure",
    "Level",
    "Load",
    "PerfPlan",
    "PerfReport",
    "Tool",
    "Window",
    "interrupted",
    "levels",
    "run",
]

_ATTEMPTS = 4  # a window in which no request ended is doubled, three times at most
_PATIENCE_SECONDS = 900.0  # beyond what a run should take: one answer may take minutes
_END_SECONDS = 5.0  # from the last answer of a warm-up to its report; measured: below one


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """The load generator: its program and the variables that it runs in."""

    program: Path
    environment: Mapping[str, str]


def run(
    plan: PerfPlan,
    tool: Tool,
    *,
    samples: Sequence[Arrays],
    statistics: Callable[[], Counters | None],
    alive: Callable[[], bool] = lambda: True,
    progress: Progress = silent,
) -> tuple[tuple[Level, ...], tuple[Failure, ...]]:
    """Measure every level of `plan` with `samples` (batch dimension left out), in its order.

    `statistics` looks at what the server has counted, `alive` whether there still is one. A level
    that fails is returned as such and the others are measured all the same; so are those that ^C
    left unmeasured, unless it left all of them.
    """
    found: list[Level] = []
    failed: list[Failure] = []
    rate = 0.0  # requests a second of the level before
    with TemporaryDirectory(prefix=leftovers.mark()) as folder:
        bench = _Bench(plan=plan, tool=tool, files=Files(Path(folder)), statistics=statistics)
        planning.write_inputs(samples, bench.files.inputs)
        started = time.monotonic()
        for index, concurrency in enumerate(plan.load.concurrencies):
            clock = _Clock(
                plan=plan, index=index, started=started, now=time.monotonic(), progress=progress
            )
            try:
                level = _measure(bench, concurrency, rate=rate, watch=clock.tell)
            except ForgeError as error:
                failed.append(
                    Failure(concurrency=concurrency, reason=error.message, unserved=not alive())
                )
            except KeyboardInterrupt:
                if not found:
                    raise
                failed += interrupted(plan.load.concurrencies[index:])
                break
            else:
                rate = level.throughput / plan.load.batch_size
                found.append(level)
    return tuple(found), tuple(failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What every run of a sweep shares."""

    plan: PerfPlan
    tool: Tool
    files: Files
    statistics: Callable[[], Counters | None]

    def call(
        self,
        argv: Sequence[str],
        watch: Callable[[], None],
        *,
        seconds: float = 0.0,
        quiet: bool = False,
    ) -> Finished:
        """Run `perf_analyzer` once, the report of the last run out of the way."""
        self.files.csv.unlink(missing_ok=True)
        return process.run(
            argv,
            timeout=seconds + _PATIENCE_SECONDS,
            environment=self.tool.environment,
            watch=watch,
            quiet=quiet,
        )


def _measure(bench: _Bench, concurrency: int, *, rate: float, watch: Callable[[], None]) -> Level:
    """Measure one level; `rate` is the requests a second of the one before.

    Raises `PerfError` with perf_analyzer's own reason.
    """
    plan, files, program = bench.plan, bench.files, bench.tool.program
    latency_us = _warm_up(bench, concurrency, watch)
    # The throughput of so short a run is too low (it counts at least a second), latencies are not.
    rate = max(rate, concurrency / latency_us * 1e6)
    window_ms = planning.window(plan, request_rate=rate, latency_us=latency_us)
    for _ in range(_ATTEMPTS):
        argv = planning.argv(program, plan, concurrency, files, window_ms=window_ms)
        before = bench.statistics()
        finished = bench.call(argv, watch, seconds=WINDOWS * STRETCH * window_ms / 1000)
        after = bench.statistics()
        if finished.returncode == 0:
            server = after - before if after is not None and before is not None else None
            return records.level(
                plan, concurrency, files.csv, finished, window_ms=window_ms, server=server
            )
        if not records.is_too_short(finished):
            break
        window_ms *= 2
    raise PerfError(records.reason(finished))


def _warm_up(bench: _Bench, concurrency: int, watch: Callable[[], None]) -> float:
    """Let `perf_analyzer` send a few requests, and return their latency in microseconds.

    It waits for ever where they are answered before it starts to count them: 2 of 60 such runs did,
    with version 2.51 on a model that takes 2 ms. Such a run is ended and made anew.
    """
    argv = planning.warm_up_argv(bench.tool.program, bench.plan, concurrency, bench.files)
    for _ in range(_ATTEMPTS):
        try:
            warm = bench.call(argv, _Unending(bench, concurrency, watch).look, quiet=True)
        except _WaitsForEverError:
            continue
        if warm.returncode != 0:
            raise PerfError(records.reason(warm))
        return max(records.row(bench.files.csv)[1][50], 1)
    raise PerfError("perf_analyzer did not end, though the server has answered all its requests")


class _WaitsForEverError(Exception):
    """All requests of a warm-up have been answered, and it has not ended."""


class _Unending:
    """Sees by the server's statistics that a warm-up waits for what has been.

    All its requests have been answered, and the server has answered none since: others may use it.
    """

    def __init__(self, bench: _Bench, concurrency: int, watch: Callable[[], None]) -> None:
        self._statistics, self._watch = bench.statistics, watch
        self._before = self._last = bench.statistics()
        self._requests = planning.warm_up_requests(concurrency)
        self._silent_since = time.monotonic()

    def look(self) -> None:
        """Raise `_WaitsForEverError` where there is no hope."""
        self._watch()
        now = self._statistics()
        if now is None or self._before is None:
            return
        if now != self._last:
            self._last, self._silent_since = now, time.monotonic()
        answered = (now - self._before).requests >= self._requests
        if answered and time.monotonic() - self._silent_since > _END_SECONDS:
            raise _WaitsForEverError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clock:
    """Tells how far a sweep is: `started` began the first level, `now` the current one."""

    plan: PerfPlan
    index: int
    started: float
    now: float
    progress: Progress

    def tell(self) -> None:
        """Report the level, the fraction done and the time left."""
        levels = self.plan.load.concurrencies
        window_ms = planning.window(self.plan, request_rate=0, latency_us=0)
        planned = WINDOWS * STRETCH * window_ms / 1000 + 2  # a warm-up and two starts
        each = (self.now - self.started) / self.index if self.index else planned
        spent = min(time.monotonic() - self.now, each)
        left = each * (len(levels) - self.index) - spent
        self.progress(
            f"{self.plan.model}: concurrency {levels[self.index]}"
            f" ({self.index + 1} of {len(levels)}), {_minutes(left)} left",
            (self.index + spent / each) / len(levels),
        )


def _minutes(seconds: float) -> str:
    """Write a duration as a person says it."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
