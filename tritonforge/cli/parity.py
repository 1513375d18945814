"""`tritonforge parity`: whether a server gives what the model gives."""

from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output

if TYPE_CHECKING:
    from tritonforge.parity import Check, ParityReport


@click.command()
@options.models
@options.model_repository
@options.model_version
@options.urls
@options.served_by
@click.option(
    "--reference",
    type=click.Choice(["onnx", "torch", "golden"]),
    default="onnx",
    show_default=True,
    help="Compare with ONNX Runtime in this process, with eager torch made again from the "
    "manifest, or with the golden sample only.",
)
@options.tolerance
@options.sample_seed
@options.output_format
@click.pass_context
def command(
    context: click.Context,
    models: tuple[str, ...],
    model_repository: Any,
    model_version: int | None,
    urls: tuple[str, ...],
    target: Any,
    reference: Any,
    atol: float | None,
    rtol: float | None,
    sample_seed: int,
    output_format: str,
) -> None:
    """Compare what a server answers with what the model gives.

    The version's files against its manifest and the golden sample first, then fresh samples over
    batch sizes and shapes, then many requests at once; over HTTP and gRPC. Without MODEL every
    model of the repository is compared, and without -x every version that its version policy has
    served. Exit code 1 says that something differs.
    """
    from tritonforge import endpoint
    from tritonforge.parity import Wish, parity
    from tritonforge.spec import Tolerance

    options.of_our_own(target, urls)
    wish = Wish(
        version=model_version,
        target=target,
        reference=reference,
        tolerance=Tolerance(atol=atol, rtol=rtol),
        sample_seed=sample_seed,
    )
    output.left_out(model_repository, models)
    with output.progress() as progress:
        reports = parity(
            model_repository,
            models,
            wish,
            endpoint=endpoint.parse(urls) if urls else None,
            rehearsed=output.aside,
            progress=progress,
        )
    if output_format == "json":
        output.as_json({"reports": [_document(report) for report in reports]})
    else:
        _print(reports)
    failed = any(report.error is not None for report in reports)
    context.exit(2 if failed else 0 if all(report.passed for report in reports) else 1)


def _print(reports: "tuple[ParityReport, ...]") -> None:
    """Print one row per check and output, then a sentence for whatever did not agree."""
    rows = [
        (f"{report.model} {report.version}", f"{check.name} {check.protocol or ''}".strip(), *cells)
        for report in reports
        for check in report.checks
        for cells in _cells(check)
    ]
    columns = ("model", "check", "output", "", "samples", "largest |diff|", "needed atol", "top-1")
    if rows:
        output.table(columns, rows, left=4, title=_title(reports))
    for report in reports:
        click.echo(_verdict(report))


def _title(reports: "tuple[ParityReport, ...]") -> str:
    """Name what was asked: each model's own ONNX Runtime, where that is known."""
    known = next(report for report in reports if report.checks)
    runtimes = dict.fromkeys(report.onnxruntime for report in reports if report.onnxruntime)
    runtime = f" · ONNX Runtime {' and '.join(runtimes)}" if runtimes else ""
    return f"Triton {known.triton or '(unknown version)'}{runtime}"


def _cells(check: "Check") -> list[tuple[str, ...]]:
    """Return the cells of one check, one row an output."""
    if check.report is None:
        return [("", "pass" if check.passed else "FAIL", "", "", "", "")]
    return [
        (
            each.name,
            each.verdict,
            str(check.report.samples),
            f"{each.max_abs:.3g}",
            f"{each.passing_atol:g}",
            "" if each.top1 is None else f"{each.top1:.2%}",
        )
        for each in check.report.outputs
    ]


def _verdict(report: "ParityReport") -> str:
    """Say in one or more sentences whether a version agrees, and if not, where."""
    from tritonforge.gate import summary

    name = f"{report.model} {report.version}"
    runtime = f" by ONNX Runtime {report.onnxruntime}" if report.onnxruntime else ""
    against = f"against {report.reference}{', rehearsal: cpu' if report.rehearsal else ''}"
    if report.error is not None:
        return f"{name}: could not be compared: {report.error}"
    if report.passed:
        return f"{name}: parity{runtime} {against}{_batching(report)}{_uncompared(report)}"
    said = [
        f"{check.name}{f' over {check.protocol}' if check.protocol else ''}: "
        + (summary(check.report) if check.report is not None else check.refused or "")
        for check in report.checks
        if not check.passed
    ]
    if report.embedded and report.batching is not None and not report.batching.merged:
        said.append("the server never executed a batch above 1 while many asked at once")
    return f"{name}: NO parity{runtime} {against}: {'; '.join(said)}"


def _uncompared(report: "ParityReport") -> str:
    """Name the outputs of which nothing was compared."""
    if not (names := report.uncompared):
        return ""
    told = " and ".join(map(repr, names))
    return (
        f"; {told} {'was' if len(names) == 1 else 'were'} empty in every sample: nothing compared"
    )


def _batching(report: "ParityReport") -> str:
    """Say what the server merged."""
    if report.batching is None:
        return ""
    counted = report.batching
    if not counted.merged:
        return "; batches above 1: not seen"
    return (
        f"; {counted.inferences} samples in {counted.executions} executions,"
        f" batches up to {counted.largest}"
    )


def _document(report: "ParityReport") -> dict[str, Any]:
    """Return the stable JSON of one version."""
    from dataclasses import asdict

    document = asdict(report)
    document["rehearsal"] = "cpu" if report.rehearsal else None
    document["passed"] = report.passed
    document["uncompared"] = list(report.uncompared)
    if report.batching is not None:
        document["batching"]["merged"] = report.batching.merged
    for entry, check in zip(document["checks"], report.checks, strict=True):
        entry["passed"] = check.passed
    return document
