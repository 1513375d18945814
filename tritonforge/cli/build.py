"""`tritonforge build`: from a source to a proven version in the model repository."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output, specflags
from tritonforge.cli.group import Shown
from tritonforge.errors import ForgeError, GateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tritonforge.build import Built
    from tritonforge.gate import GateReport
    from tritonforge.manifest import Manifest


@click.command()
@click.argument("names", metavar="[SOURCE]...", nargs=-1)
@options.model_repository
@click.option("--name", help="The model's name; without it the source's own, made valid.")
@options.model_version
@specflags.every
@click.option("--force", is_flag=True, help="Replace the version that -x names.")
@click.option("--rebuild", is_flag=True, help="Build also where nothing has changed.")
@click.option("--update-config", is_flag=True, help="Replace a config that differs.")
@click.option("--keep-config", is_flag=True, help="Build for the config that stands.")
@click.option("--dry-run", is_flag=True, help="Export and prove, but publish nothing.")
@options.output_format
@click.pass_context
def command(
    context: click.Context,
    /,
    names: tuple[str, ...],
    model_repository: Any,
    name: str | None,
    model_version: int | None,
    force: bool,
    rebuild: bool,
    update_config: bool,
    keep_config: bool,
    dry_run: bool,
    output_format: str,
    spec_file: Any,
    env: str | None,
    **flags: Any,
) -> None:
    """Export SOURCE to ONNX, prove it, and add it to the model repository.

    SOURCE is a model of tritonforge.toml, a name of torchvision's or timm's (resnet50), a
    Hugging Face model (hf:ID, hf:folder#task), a function that returns a module (file.py:factory,
    pkg.module:factory), an exported program (.pt2), a TorchScript file (.pt) or an .onnx file;
    without SOURCE every model of tritonforge.toml is built. Nothing is published unless ONNX
    Runtime gives what the model gives: over batch sizes, shapes and seeds, within tolerance. What
    has not changed is not built again.
    """
    from tritonforge import specfile
    from tritonforge.build import build
    from tritonforge.errors import SourceError, SpecError

    if update_config and keep_config:
        raise click.UsageError("--update-config and --keep-config contradict each other")
    if force and model_version is None:
        raise click.UsageError("--force replaces the version that -x names: name one")
    file = specfile.find(spec_file)
    above = specflags.layer(context, flags)
    wanted = names or specflags.listed(file, env)
    if len(wanted) > 1 and (name is not None or model_version is not None):
        raise click.UsageError("--name and -x are of one model: name its SOURCE")

    def one(source: str) -> "Built":
        found = specfile.effective(source, file, env, above)
        if found.listed and file is not None and names:
            output.aside(f"{source} is as {file.home(source, env)} has it")
        spec = found.spec if name is None else replace(found.spec, name=name)
        try:
            with output.progress() as progress:
                return build(
                    spec,
                    model_repository,
                    version=model_version,
                    force=force,
                    rebuild=rebuild,
                    standing=specflags.standing(found, update=update_config, keep=keep_config),
                    dry_run=dry_run,
                    progress=progress,
                )
        except SpecError as error:
            raise found.located(error) from error
        except SourceError as error:
            if not found.listed:
                specfile.check_source(source, file, env)
            raise found.located(error) from error

    if len(names) == 1:
        _one(partial(one, names[0]), output_format, dry_run=dry_run)
    else:
        _several(wanted, one, output_format, dry_run=dry_run)


def _one(make: "Callable[[], Built]", output_format: str, *, dry_run: bool) -> None:
    """Build a model and tell of it."""
    try:
        built = make()
    except GateError as error:
        report: Any = error.report
        if report is not None and output_format == "json":
            output.as_json({"published": False, "gate": _gate_document(report)})
        elif report is not None:
            gate_table(report, "the gate failed")
        raise
    if output_format == "json":
        output.as_json(_document(built))
    else:
        _print(built, dry_run=dry_run)


def _several(
    wanted: "Sequence[str]",
    make: "Callable[[str], Built]",
    output_format: str,
    *,
    dry_run: bool,
) -> None:
    """Build models one by one; where one fails the others go on, and the exit code says so."""
    documents: list[dict[str, Any]] = []
    code = 0
    for source in wanted:
        try:
            built = make(source)
        except ForgeError as error:
            code = max(code, error.exit_code)
            documents.append(_failed(source, error))
            report: Any = getattr(error, "report", None)
            if report is not None and output_format != "json":
                gate_table(report, f"{source}: the gate failed")
            Shown(f"{source}: {error.message}", hint=error.hint).show()
            continue
        documents.append(_document(built))
        if output_format != "json":
            _print(built, dry_run=dry_run)
    if output_format == "json":
        output.as_json({"builds": documents})
    if code:
        click.get_current_context().exit(code)


def _failed(source: str, error: ForgeError) -> dict[str, Any]:
    """Return the stable JSON of a build that was not one."""
    report: Any = getattr(error, "report", None)
    return {
        "model": source,
        "published": False,
        "error": error.message,
        "hint": error.hint,
        "gate": None if report is None else _gate_document(report),
    }


def _print(built: "Built", *, dry_run: bool) -> None:
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


def _document(built: "Built") -> dict[str, Any]:
    """Return the stable JSON of a build."""
    record = built.manifest
    return {
        "model": built.name,
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
        "gate": _gate_document(record.gate),
        "notes": list(built.notes),
    }


def _gate_document(report: "GateReport") -> dict[str, Any]:
    """Return the stable JSON of a gate."""
    from dataclasses import asdict

    return {"passed": report.passed, **asdict(report)}
