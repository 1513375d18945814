"""How a build is told: as lines and a table, or as JSON."""

from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import output

if TYPE_CHECKING:
    from tritonforge.build import Built
    from tritonforge.gate import GateReport
    from tritonforge.manifest import Manifest


def tell(built: "Built", *, dry_run: bool) -> None:
    """Say what was built, how it was proven, and where it lies."""
    record = built.manifest
    if built.unchanged and built.entry is not None:
        click.echo(
            f"{built.name} {built.version}: unchanged since {record.created}, not built again"
            " (--rebuild builds it)"
        )
        for note in built.notes:
            click.echo(f"Note: {note}")
        click.echo(built.entry.version_dir)
        return
    if dry_run:
        click.echo(record.config, nl=False)
        click.echo()
    batch = f"batches up to {built.max_batch_size}"
    if built.unbatched is not None:
        batch = f"no batching: {built.unbatched}"
    tried = f"loaded by ONNX Runtime {record.loaded_by}"
    if record.loaded_by is None:
        tried = f"not tried on its ONNX Runtime {record.versions['target onnxruntime']}"
    click.echo(
        f"{built.name} {built.version}: opset {record.opset}, IR {record.ir} for {record.target}"
        f" ({tried}){_way(record)}; {record.weights_origin}; {batch}"
    )
    for why in filter(None, (built.decided, built.chosen)):
        click.echo(why)
    runtime = record.versions["onnxruntime"]
    gate_table(record.gate, f"{record.reference} against ONNX Runtime {runtime}")
    for note in built.notes:
        click.echo(f"Note: {note}")
    if built.entry is None:
        click.echo(f"Dry run: would publish version {built.version} of {built.name}.")
    else:
        click.echo(built.entry.version_dir)


def _way(record: "Manifest") -> str:
    """Say how the file came about: an exporter made it, or it was given."""
    return f" by {record.exporter}" if record.reference == "torch" else f", {record.exporter}"


def gate_table(report: "GateReport", title: str) -> None:
    """Print what the gate found, one output a row."""
    rows = [
        (
            each.name,
            each.verdict,
            f"{each.max_abs:.3g}",
            f"{each.passing_atol:g}",
            f"{each.atol:.3g} + {each.rtol:.3g}",
            "" if each.top1 is None else f"{each.top1:.2%}",
            "" if each.flips is None else str(each.flips),
        )
        for each in report.outputs
    ]
    columns = ("output", "gate", "largest |diff|", "needed atol", "atol + rtol", "top-1", "flips")
    output.table(columns, rows, left=2, title=f"{title}, {report.samples} samples")


def document(built: "Built") -> dict[str, Any]:
    """Return the stable JSON of a build."""
    record = built.manifest
    return {
        "model": built.name,
        "source": record.source,
        "version": built.version,
        "published": built.entry is not None,
        "unchanged": built.unchanged,
        "path": str(built.entry.version_dir) if built.entry else None,
        "target": record.target,
        "opset": record.opset,
        "ir": record.ir,
        "loaded_by": record.loaded_by,
        "opset_reason": built.chosen,
        "accelerator": record.accelerator,
        "accelerator_reason": built.decided,
        "exporter": record.exporter,
        "weights": record.weights_origin,
        "max_batch_size": record.max_batch_size,
        "unbatched": built.unbatched,
        "config": record.config,
        "gate": gate_document(record.gate),
        "notes": list(built.notes),
    }


def gate_document(report: "GateReport") -> dict[str, Any]:
    """Return the stable JSON of a gate."""
    from dataclasses import asdict

    return {"passed": report.passed, "uncompared": list(report.uncompared), **asdict(report)}


def failure(
    model: str, source: str, message: str, hint: str | None, error: Exception
) -> dict[str, Any]:
    """Return the stable JSON of a build that was not one; `source` is what was asked for."""
    report: Any = getattr(error, "report", None)
    return {
        "model": model,
        "source": source,
        "published": False,
        "error": message,
        "hint": hint,
        "gate": None if report is None else gate_document(report),
    }
