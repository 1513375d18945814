"""`tritonforge build`: from a source to a proven version in the model repository."""

from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output
from tritonforge.errors import GateError

if TYPE_CHECKING:
    from tritonforge.build import Built
    from tritonforge.gate import GateReport
    from tritonforge.manifest import Manifest


@click.command()
@click.argument("source")
@options.model_repository
@options.target
@click.option("--name", help="The model's name; without it the source's own, made valid.")
@options.model_version
@click.option(
    "--weights",
    default="default",
    show_default=True,
    metavar="default|random|FILE",
    help="Pretrained (default), random by --seed, or a state dict (.pt, .safetensors).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of random weights.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=options.INPUT,
    help="An input, such as ids:INT64:batch,seq; a name is a dynamic dimension. Repeatable.",
)
@click.option(
    "--range",
    "ranges",
    multiple=True,
    type=options.RANGE,
    help="The sizes of a dynamic dimension, such as seq=1..512. Repeatable.",
)
@click.option(
    "--domain",
    "domains",
    multiple=True,
    type=options.DOMAIN,
    help="What an input holds: ids=0..30000, x=0.0..1.0, m=mask or x=normal. Repeatable.",
)
@click.option(
    "--sample",
    "samples",
    multiple=True,
    type=options.FILE,
    help="Recorded inputs to prove with, in place of drawn ones: an .npz file, or a folder of "
    "ONNX test data (input_0.pb). Repeatable.",
)
@click.option(
    "--max-batch-size",
    type=click.IntRange(min=0),
    default=16,
    show_default=True,
    help="The largest batch; 0 for none.",
)
@click.option(
    "--accelerator",
    type=click.Choice(["cpu", "cuda", "tensorrt", "openvino"]),
    default="cpu",
    show_default=True,
    help="What the model is to run on; it decides the opset.",
)
@click.option("--opset", type=int, help="The opset, instead of the one where it keeps its kernels.")
@click.option(
    "--max-cpu-nodes",
    type=click.IntRange(min=0),
    metavar="N",
    help="Fail where more nodes than this would run on the CPU for want of a CUDA kernel; shapes "
    "that CUDA computes on the host are not counted.",
)
@click.option(
    "--allow-cpu",
    type=options.NAMES,
    default="",
    metavar="OP,…",
    help="Operators that --max-cpu-nodes does not count, such as Cast,Where.",
)
@click.option(
    "--exporter",
    type=click.Choice(["auto", "dynamo", "torchscript"]),
    default="auto",
    show_default=True,
    help="Which of torch's exporters; auto tries both and says which it took.",
)
@click.option("--cores", type=click.IntRange(min=1), help="CPU cores the server will have.")
@options.tolerance
@options.sample_seed
@click.option("--force", is_flag=True, help="Replace the version that -x names.")
@click.option("--update-config", is_flag=True, help="Replace a config that differs.")
@click.option("--keep-config", is_flag=True, help="Build for the config that stands.")
@click.option("--dry-run", is_flag=True, help="Export and prove, but publish nothing.")
@options.output_format
def command(
    model_repository: Any,
    model_version: int | None,
    force: bool,
    update_config: bool,
    keep_config: bool,
    dry_run: bool,
    output_format: str,
    atol: float | None,
    rtol: float | None,
    **wishes: Any,
) -> None:
    """Export SOURCE to ONNX, prove it, and add it to the model repository.

    SOURCE is a torchvision name (resnet50), a function that returns a module (file.py:factory,
    pkg.module:factory) or an .onnx file. Nothing is published unless ONNX Runtime gives what the
    model gives: over batch sizes, shapes and seeds, within tolerance.
    """
    from tritonforge.build import build
    from tritonforge.spec import ModelSpec, Tolerance

    if update_config and keep_config:
        raise click.UsageError("--update-config and --keep-config contradict each other")
    if force and model_version is None:
        raise click.UsageError("--force replaces the version that -x names: name one")
    spec = ModelSpec(tolerance=Tolerance(atol=atol, rtol=rtol), **wishes)
    try:
        with output.progress() as progress:
            built = build(
                spec,
                model_repository,
                version=model_version,
                force=force,
                standing="update" if update_config else "keep" if keep_config else "stop",
                dry_run=dry_run,
                progress=progress,
            )
    except GateError as error:
        _report_failure(error, output_format)
        raise
    if output_format == "json":
        output.as_json(_document(built))
    else:
        _print(built, dry_run=dry_run)


def _print(built: "Built", *, dry_run: bool) -> None:
    """Say what was built, how it was proven, and where it lies."""
    record = built.manifest
    if dry_run:
        click.echo(record.config, nl=False)
        click.echo()
    batch = f"batches up to {record.max_batch_size}"
    if built.unbatched is not None:
        batch = f"no batching: {built.unbatched}"
    tried = f"loaded by ONNX Runtime {record.loaded_by}"
    if record.loaded_by is None:
        tried = f"not tried on its ONNX Runtime {record.versions['target onnxruntime']}"
    click.echo(
        f"{built.name} {built.version}: opset {record.opset}, IR {record.ir} for {record.target}"
        f" ({tried}){_way(record)}; {record.weights_origin}; {batch}"
    )
    if built.chosen is not None:
        click.echo(built.chosen)
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
            "pass" if each.passed else "FAIL",
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


def _report_failure(error: GateError, output_format: str) -> None:
    """Show the numbers of a gate that failed, before its sentence."""
    if error.report is None:
        return
    report: Any = error.report
    if output_format == "json":
        output.as_json({"published": False, "gate": _gate_document(report)})
    else:
        gate_table(report, "the gate failed")


def _document(built: "Built") -> dict[str, Any]:
    """Return the stable JSON of a build."""
    record = built.manifest
    return {
        "model": built.name,
        "version": built.version,
        "published": built.entry is not None,
        "path": str(built.entry.version_dir) if built.entry else None,
        "target": record.target,
        "opset": record.opset,
        "ir": record.ir,
        "loaded_by": record.loaded_by,
        "opset_reason": built.chosen,
        "exporter": record.exporter,
        "weights": record.weights_origin,
        "max_batch_size": record.max_batch_size,
        "unbatched": built.unbatched,
        "config": record.config,
        "gate": _gate_document(record.gate),
        "notes": list(built.notes),
    }


def _gate_document(report: "GateReport") -> dict[str, Any]:
    """Return the stable JSON of a gate."""
    from dataclasses import asdict

    return {"passed": report.passed, **asdict(report)}
