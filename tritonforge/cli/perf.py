"""`tritonforge perf`: throughput and latency under load, level by level."""

from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output, parsed
from tritonforge.cli.group import INTERRUPTED

if TYPE_CHECKING:
    from pathlib import Path

    from tritonforge.perf import PerfReport
    from tritonforge.repository import Repository


def _levels(text: str) -> Any:
    from tritonforge import perf

    return perf.levels(text)


def _shape(text: str) -> Any:
    from tritonforge.measure.inputs import parse_shape

    return parse_shape(text)


def _writable(ctx: click.Context, parameter: click.Parameter, path: "Path | None") -> "Path | None":
    """Refuse a file that could not be written, before minutes are spent on what goes there."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}", ctx, parameter)
    if path is not None and path.is_dir():
        raise click.BadParameter(f"{path} is a folder", ctx, parameter)
    return path


@click.command()
@click.argument("arguments", metavar="[MODEL]... [-- PERF_ANALYZER_OPTIONS]", nargs=-1)
@click.option(
    "--concurrency",
    "concurrencies",
    type=parsed.Parsed("LEVELS", _levels),
    default="1..16*2",
    show_default=True,
    help="Requests at once: 1..16 (every level), 1..16:5 (step), 1..16*2 (doubling), 1,4,16 or 8.",
)
@options.model_repository
@options.model_version
@click.option(
    "-b",
    "--batch-size",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Samples a request.",
)
@options.urls
@options.served_by
@click.option(
    "-i",
    "--protocol",
    type=click.Choice(["http", "grpc"]),
    help="How to ask; the default is http where it can be had.",
)
@click.option(
    "--shape",
    "shapes",
    type=parsed.Parsed("NAME:DIMS", _shape),
    multiple=True,
    help="The shape of an input, batch dimension left out, as ids:128; repeat for several.",
)
@options.sample_seed
@click.option(
    "--measurement-interval",
    "interval_ms",
    type=click.IntRange(min=1),
    metavar="MS",
    help="How long each of the three windows of a level is; by default 2000, more for a slow"
    " model. Shortened where the inputs of a window would take more than 512 MB.",
)
@click.option(
    "--stability-percentage",
    "stability",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="How far the windows of a level may differ before it is marked unstable.",
)
@click.option(
    "--percentile",
    type=click.IntRange(1, 99),
    help="Judge stability by this latency, and report it; the default is the average.",
)
@options.output_format
@click.option(
    "--csv",
    "csv_path",
    type=parsed.FILE,
    callback=_writable,
    help="Write the levels to a file too.",
)
def command(
    arguments: tuple[str, ...],
    concurrencies: tuple[int, ...],
    model_repository: "Repository",
    model_version: int | None,
    batch_size: int,
    urls: tuple[str, ...],
    target: Any,
    protocol: Any,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    sample_seed: int,
    interval_ms: int | None,
    stability: float,
    percentile: int | None,
    output_format: str,
    csv_path: "Path | None",
) -> None:
    """Measure throughput and latency of models under load with the real perf_analyzer.

    Without MODEL every model of the repository is measured, each on a server of its own, or where
    --url says. Inputs are drawn from what the model's inputs mean. A level that does not settle is
    reported and marked; where one fails the others are reported and the exit code is 2. After ^C
    what has been measured is reported.
    What follows -- goes to perf_analyzer as it is.
    """
    from tritonforge import endpoint
    from tritonforge.measure import Wish, measure
    from tritonforge.perf import Load

    models, extra = options.split(arguments)
    output.left_out(model_repository, models)
    load = Load(
        concurrencies=concurrencies,
        batch_size=batch_size,
        interval_ms=interval_ms,
        stability=stability,
        percentile=percentile,
        extra=extra,
    )
    options.of_our_own(target, urls)
    wish = Wish(
        load=load,
        version=model_version,
        target=target,
        protocol=protocol,
        shapes=dict(shapes),
        sample_seed=sample_seed,
    )
    with output.progress() as progress:
        reports = measure(
            model_repository,
            models,
            wish,
            endpoint=endpoint.parse(urls) if urls else None,
            rehearsed=output.aside,
            progress=progress,
        )
    _tell(reports, output_format, csv_path)


def _tell(reports: "tuple[PerfReport, ...]", output_format: str, csv_path: "Path | None") -> None:
    """Print what was measured and write it down; the exit code says what could not be."""
    from tritonforge.cli import measured

    if output_format == "json":
        measured.as_json(reports)
    else:
        measured.as_tables(reports)
    if csv_path is not None:  # after the answer, which a full disk must not cost
        measured.as_csv(reports, csv_path)
    if any(report.interrupted for report in reports):
        output.aside("Interrupted.")
        raise click.exceptions.Exit(INTERRUPTED)
    if any(report.failures for report in reports):
        raise click.exceptions.Exit(2)
