"""What a measurement found, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from tritonforge.errors import PerfError

# Throughputs closer than this are one result: repeated runs of one level differ by as much.
_SAME = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What a server has counted for a model version since it was loaded, or between two looks.

    `inferences` counts samples, `requests` successful requests, `executions` batches that ran.
    Times are nanoseconds summed over requests; each request of a batch counts the whole batch's
    time. Source: triton-inference-server/server, `protocol/extension_statistics.md`.
    """

    requests: int
    inferences: int
    executions: int
    queue_ns: int
    compute_input_ns: int
    compute_infer_ns: int
    compute_output_ns: int

    def __sub__(self, earlier: "Counters") -> "Counters":
        """Return what was counted since `earlier`; raises `PerfError` after a reload."""
        names = [each.name for each in fields(self)]
        counted = {name: getattr(self, name) - getattr(earlier, name) for name in names}
        if min(counted.values()) < 0:
            raise PerfError(
                "the server's statistics started anew while it was measured",
                hint="the model was reloaded or the server restarted; measure again",
            )
        return Counters(**counted)

    @property
    def executed_batch(self) -> float | None:
        """Return how many samples ran together on average, None where nothing ran."""
        return self.inferences / self.executions if self.executions else None

    @property
    def queue_us(self) -> float | None:
        """Return the average microseconds that a request waited for its batch and instance."""
        return self._average_us(self.queue_ns)

    @property
    def compute_us(self) -> float | None:
        """Return the average microseconds from a batch's start to its last output."""
        parts = (self.compute_input_ns, self.compute_infer_ns, self.compute_output_ns)
        return self._average_us(sum(parts))

    @property
    def compute_infer_us(self) -> float | None:
        """Return the part of `compute_us` in the framework itself."""
        return self._average_us(self.compute_infer_ns)

    def _average_us(self, nanoseconds: int) -> float | None:
        return nanoseconds / self.requests / 1000 if self.requests else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One of the stretches that a level is measured in: inferences a second and a latency in us.

    The latency is the average, or the percentile that stability is judged by.
    """

    throughput: float
    latency_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One concurrency, measured: all windows together.

    `throughput` is inferences (samples) a second, `percentiles` maps 50, 90, 95, 99 and the one
    asked for to the latency of a request in microseconds. `server` is None where the server tells
    no statistics. `stable` says whether the windows agreed.
    """

    concurrency: int
    throughput: float
    requests: int
    percentiles: Mapping[int, int]
    windows: tuple[Window, ...]
    window_ms: int
    stable: bool
    server: Counters | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One concurrency that could not be measured, and why in `perf_analyzer`'s own words.

    `unserved` is true where there was no server any more, `interrupted` where ^C came first.
    """

    concurrency: int
    reason: str
    unserved: bool = False
    interrupted: bool = False


def interrupted(concurrencies: Sequence[int]) -> tuple[Failure, ...]:
    """Return the failures of levels that ^C left unmeasured."""
    return tuple(
        Failure(concurrency=each, reason="interrupted", interrupted=True) for each in concurrencies
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfReport:
    """One model version under every level that was asked for.

    `protocol` is None where nothing came so far as to choose one. `triton` and `onnxruntime` are
    versions, None where the server does not tell; `rehearsal` is true where a GPU config was
    served on CPU from a changed copy.
    """

    model: str
    version: int | None
    protocol: Literal["http", "grpc"] | None
    batch_size: int
    levels: tuple[Level, ...]
    failures: tuple[Failure, ...]
    triton: str | None = None
    onnxruntime: str | None = None
    rehearsal: bool = False

    @property
    def interrupted(self) -> bool:
        """Say whether ^C ended it."""
        return any(failure.interrupted for failure in self.failures)

    @property
    def best(self) -> Level | None:
        """Return the least concurrency whose throughput is within 5 % of the highest.

        More of it would add latency and no throughput. A level that did not settle counts only
        where none did.
        """
        levels = [level for level in self.levels if level.stable] or self.levels
        highest = max((level.throughput for level in levels), default=0.0)
        near = [level for level in levels if level.throughput >= (1 - _SAME) * highest]
        return min(near, key=lambda level: level.concurrency, default=None)
