"""What `perf_analyzer` wrote, read: its CSV, the windows it printed, and why it failed."""

import csv
import re
from pathlib import Path

from tritonforge.errors import PerfError
from tritonforge.perf.plan import STRETCH, PerfPlan
from tritonforge.perf.report import Counters, Level, Window
from tritonforge.process import Finished

_WINDOW = re.compile(
    r"Pass \[\d+\] throughput: ([\d.e+-]+) infer/sec\.\s+(?:Avg|p\d+) latency: (\d+) usec"
)
_REQUESTS = re.compile(r"^\s+Request count: (\d+)", re.MULTILINE)
_PERCENTILE = re.compile(r"p(\d+) latency")
# The worker's own words say more than what follows from them, so they come first.
_REASONS = (
    re.compile(r"Thread \[\d+\] had error: (.+)"),
    re.compile(r"^[Ee]rror: (.+)"),
    re.compile(r"^(?:\S*/)?perf_analyzer: (.+)"),
    re.compile(r"cb::Error: (.+)"),
)
_CHATTER = re.compile(r"^(\s|\*\*\*|Successfully |Request concurrency|Usage:|WARNING|$)")
_NO_REQUEST = "No valid requests recorded within time interval"


def level(
    plan: PerfPlan,
    concurrency: int,
    report: Path,
    finished: Finished,
    *,
    window_ms: int,
    server: Counters | None,
) -> Level:
    """Put together what one run found; raises `PerfError` where it reported nothing."""
    throughput, percentiles = row(report)
    found = windows(finished.output)
    stable = settled(
        found,
        stability=plan.load.stability,
        window_ms=window_ms,
        executed_batch=server.executed_batch if server is not None else None,
    )
    return Level(
        concurrency=concurrency,
        throughput=throughput,
        requests=requests(finished.output),
        percentiles=percentiles,
        windows=found,
        window_ms=window_ms,
        stable=stable,
        server=server,
    )


def row(path: Path) -> tuple[float, dict[int, int]]:
    """Return throughput and latency percentiles (us) from a report of a single level.

    They equal what the exported record gives, recomputed over the same windows: 3854.5 inferences a
    second and 1006, 1277, 1380, 1648 us against 1006.4, 1277.9, 1380.7, 1648.8. The record itself
    (`--profile-export-file`) is not asked for: it spells out every input of every request, for
    160 requests of 3x224x224 floats 473 MB of disk, 1.4 GB of memory and 7 s, where the report
    alone took 116 MB and none; 1500 requests exhausted 24 GB. Inputs in shared memory leave no such
    trace, but then nothing measures their way over the network.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found = next(csv.DictReader(file))
        percentiles = {
            int(match[1]): int(float(found[name]))
            for name in found
            if (match := _PERCENTILE.fullmatch(name or ""))
        }
        return float(found["Inferences/Second"]), dict(sorted(percentiles.items()))
    except (OSError, StopIteration, KeyError, ValueError, TypeError) as error:
        raise PerfError("perf_analyzer ended well but reported nothing") from error


def windows(output: str) -> tuple[Window, ...]:
    """Return the windows that `-v` printed, in order."""
    return tuple(
        Window(throughput=float(throughput), latency_us=int(latency))
        for throughput, latency in _WINDOW.findall(output)
    )


def requests(output: str) -> int:
    """Return how many requests the windows held together."""
    match = _REQUESTS.search(output)
    return int(match[1]) if match else 0


def settled(
    found: tuple[Window, ...], *, stability: float, window_ms: int, executed_batch: float | None
) -> bool:
    """Say whether windows agree: neither throughput nor latency spreads by over `stability` %.

    That is perf_analyzer's rule (`inference_profiler.cc`, the last three windows), with one
    difference: throughput may spread by two executed batches more, one for each end of a window. A
    batch ends in one window or in the next, which is 8 of 60 inferences at 20 a second and says
    nothing of the server; where it really changes, so does latency, since the workers wait for it.
    """
    if not found:
        return False
    factor = 1 + stability / 100
    slowest, fastest = _ends([window.throughput for window in found])
    least, most = _ends([float(window.latency_us) for window in found])
    two_batches = 2 * (executed_batch or 1) / (window_ms * STRETCH / 1000)
    return slowest > 0 and fastest <= factor * slowest + two_batches and most <= factor * least


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def is_too_short(finished: Finished) -> bool:
    """Say whether a run failed because no request fitted into a window."""
    return finished.returncode != 0 and _NO_REQUEST in finished.output


def reason(finished: Finished) -> str:
    """Return why a run failed, in `perf_analyzer`'s own words where it has some."""
    if finished.returncode < 0:
        killed = " (out of memory?)" if finished.returncode == -9 else ""
        return f"perf_analyzer was ended by signal {-finished.returncode}{killed}"
    lines = finished.output.splitlines()
    for pattern in _REASONS:
        for line in lines:
            if match := pattern.search(line):
                return match[1].strip()
    plain = [line.strip() for line in lines if not _CHATTER.match(line)]
    return plain[0] if plain else f"perf_analyzer ended with exit code {finished.returncode}"
