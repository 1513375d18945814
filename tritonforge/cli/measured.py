"""What `perf` measured, for people (a table), for programs (JSON) and for spreadsheets (CSV).

The JSON is an interface. `{"reports": […]}` holds one object a model:

- `model`, `version`, `protocol` (`http`, `grpc`, null where none was chosen), `batch_size` (samples
  a request);
- `triton`, `onnxruntime`: versions, null where the server does not tell; `rehearsal`: `"cpu"` where
  a GPU config was served on CPU from a changed copy, else null;
- `best`: the least concurrency within 5 % of the highest throughput, null where nothing was
  measured;
- `levels`: `concurrency`, `throughput` (samples a second), `latency_us` (`p50`, `p90`, `p95`, `p99`
  of a request), `queue_us`, `compute_us`, `compute_infer_us`, `executed_batch` (averages of the
  server's own count, null where it has none), `requests`, `stable`, `window_ms`, and `windows` with
  `throughput` and `latency_us` each;
- `failures`: `concurrency` and `reason` of each level that could not be measured.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import output
from tritonforge.errors import ForgeError

if TYPE_CHECKING:
    from tritonforge.perf import Level, PerfReport

_CSV = (
    *("model", "version", "protocol", "batch_size", "concurrency", "throughput"),
    *("p50_us", "p90_us", "p95_us", "p99_us", "queue_us", "compute_us", "executed_batch"),
    *("requests", "stable", "failure", "rehearsal", "triton", "onnxruntime"),
)


def as_json(reports: Sequence["PerfReport"]) -> None:
    """Print what the head of this module describes."""
    output.as_json({"reports": [_report(report) for report in reports]})


def as_tables(reports: Sequence["PerfReport"]) -> None:
    """Print one table a model, its best level below."""
    for report in reports:
        measured = {level.concurrency: level for level in report.levels}
        asked = sorted({*measured, *(failure.concurrency for failure in report.failures)})
        others = sorted({each for level in report.levels for each in level.percentiles})
        percentiles = others or [50, 90, 95, 99]
        output.table(
            [
                *("concurrency", "infer/s"),
                *(f"p{each} ms" for each in percentiles),
                *("queue ms", "compute ms", "batch", ""),
            ],
            [_row(level, measured.get(level), percentiles) for level in asked],
            title=_title(report),
        )
        _remarks(report)


def as_csv(reports: Sequence["PerfReport"], path: Path) -> None:
    """Write one row a level, those that failed too; raises `ForgeError`."""
    try:
        _write(reports, path)
    except OSError as error:
        raise ForgeError(
            f"cannot write {path}: {error.strerror or error}", hint="the levels are printed above"
        ) from error


def _write(reports: Sequence["PerfReport"], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _CSV, restval="", extrasaction="ignore")
        writer.writeheader()
        for report in reports:
            plain = _report(report)
            for level in plain["levels"]:
                latencies = {f"{key}_us": value for key, value in level["latency_us"].items()}
                writer.writerow({**plain, **level, **latencies})
            for failure in plain["failures"]:
                writer.writerow({**plain, **failure, "failure": failure["reason"]})


def _report(report: "PerfReport") -> dict[str, Any]:
    """Lay one report out as plain values."""
    return {
        "model": report.model,
        "version": report.version,
        "protocol": report.protocol,
        "batch_size": report.batch_size,
        "triton": report.triton,
        "onnxruntime": report.onnxruntime,
        "rehearsal": "cpu" if report.rehearsal else None,
        "best": report.best.concurrency if report.best is not None else None,
        "levels": [_level(level) for level in report.levels],
        "failures": [
            {"concurrency": failure.concurrency, "reason": failure.reason}
            for failure in report.failures
        ],
    }


def _level(level: "Level") -> dict[str, Any]:
    """Lay one level out as plain values."""
    server = level.server
    return {
        "concurrency": level.concurrency,
        "throughput": level.throughput,
        "latency_us": {f"p{name}": value for name, value in level.percentiles.items()},
        "queue_us": server.queue_us if server else None,
        "compute_us": server.compute_us if server else None,
        "compute_infer_us": server.compute_infer_us if server else None,
        "executed_batch": server.executed_batch if server else None,
        "requests": level.requests,
        "stable": level.stable,
        "window_ms": level.window_ms,
        "windows": [
            {"throughput": window.throughput, "latency_us": window.latency_us}
            for window in level.windows
        ],
    }


def _row(concurrency: int, level: "Level | None", percentiles: Sequence[int]) -> list[str]:
    """Write one row of the table; a level that failed has no figures."""
    if level is None:
        return [str(concurrency), *["-"] * (len(percentiles) + 4), "failed"]
    server = level.server
    return [
        str(concurrency),
        _figure(level.throughput),
        *(_ms(level.percentiles.get(each)) for each in percentiles),
        _ms(server.queue_us if server else None),
        _ms(server.compute_us if server else None),
        _figure(server.executed_batch if server else None),
        "" if level.stable else "unstable",
    ]


def _title(report: "PerfReport") -> str:
    """Say what was measured and on what."""
    parts = [
        report.model + (f" version {report.version}" if report.version is not None else ""),
        f"{f'{report.protocol}, ' if report.protocol else ''}batch size {report.batch_size}",
        *([f"Triton {report.triton}"] if report.triton else []),
        *([f"ONNX Runtime {report.onnxruntime}"] if report.onnxruntime else []),
        *(["rehearsal: cpu"] if report.rehearsal else []),
    ]
    return " · ".join(parts)


def _remarks(report: "PerfReport") -> None:
    """Name the best level, what `unstable` means where it stands, and why levels failed."""
    best = report.best
    if best is not None:
        p99 = f", p99 {_ms(best.percentiles[99])} ms" if 99 in best.percentiles else ""
        click.echo(
            f"Best: concurrency {best.concurrency}, {_figure(best.throughput)} infer/s{p99}"
            " (the least concurrency within 5 % of the highest throughput)"
        )
    if not all(level.stable for level in report.levels):
        click.echo(
            "Unstable: three windows in a row differed by more than --stability-percentage;"
            " a longer --measurement-interval may settle them"
        )
    reasons: dict[str, list[str]] = {}
    for failure in report.failures:
        reasons.setdefault(failure.reason, []).append(str(failure.concurrency))
    for reason, levels in reasons.items():
        click.echo(f"Failed: concurrency {', '.join(levels)}: {reason}")
    click.echo()


def _ms(microseconds: float | None) -> str:
    return _figure(None if microseconds is None else microseconds / 1000)


def _figure(value: float | None) -> str:
    """Write three or more significant digits, never an exponent."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
