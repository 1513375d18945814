"""Lines of the answer, and how commands are timed and weighed."""

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Line(Protocol):
    """One line of the answer, which prints itself with its goal."""

    @property
    def met(self) -> bool:
        """Say whether the goal is met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One line of the answer: the pairwise ratios and the goal that their median is held to."""

    what: str
    ratios: tuple[float, ...]
    goal: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Say whether the median meets the goal."""
        middle = statistics.median(self.ratios)
        return middle >= self.goal if self.at_least else middle <= self.goal

    def __str__(self) -> str:
        sign, verdict = ("≥" if self.at_least else "≤"), ("met" if self.met else "NOT MET")
        low, high = min(self.ratios), max(self.ratios)
        return (
            f"{self.what:<58} {statistics.median(self.ratios):5.2f}"
            f"  ({low:.2f} to {high:.2f})  goal {sign} {self.goal}  {verdict}"
        )


def timed(*argv: str) -> tuple[float, float]:
    """Run a command to its end; return wall seconds and peak memory in MiB (`wait4(2)`)."""
    start = time.perf_counter()
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    child = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[null])
    _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"failed: {' '.join(argv[:3])} …")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def held(*argv: str) -> float:
    """Run a command to its end; return the peak memory of it and its children together, in MiB.

    Pages that processes share are counted once (`Pss` of proc_pid_smaps(5)), mapped files too. The
    largest process alone is asked of the kernel, which misses nothing between two looks.
    """
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    child, peak = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[null]), 0.0
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        peak = max(peak, sum(map(resident, family(child))))
        time.sleep(0.02)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"failed: {' '.join(argv[:3])} …")
    return max(peak, usage.ru_maxrss / 1024)


def family(process: int) -> Iterator[int]:
    """Yield a process and those that it and they started."""
    yield process
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended meanwhile
            for child in path.read_text().split():
                yield from family(int(child))


def resident(process: int) -> float:
    """Return the memory of a process in MiB, what it shares by shares."""
    with suppress(OSError), Path(f"/proc/{process}/smaps_rollup").open() as lines:  # it has ended
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0


def printed(*argv: str) -> str:
    """Run a command and return what it printed."""
    from tritonforge import process

    finished = process.run(argv, timeout=600, quiet=True)
    if finished.returncode != 0:
        sys.exit(f"failed: {finished.tail}")
    return finished.output
