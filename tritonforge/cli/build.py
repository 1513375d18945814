"""`tritonforge build`: from a source to a proven version in the model repository."""

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tritonforge.cli import flagged, options, output, specflags
from tritonforge.errors import ForgeError, GateError, SourceError, SpecError

if TYPE_CHECKING:
    from tritonforge.cli import builds
    from tritonforge.jobs import Job


@click.command()
@click.argument("names", metavar="[SOURCE]...", nargs=-1)
@options.model_repository
@click.option(
    "--name",
    help="The model's name, of a single SOURCE; without it the source's own, made valid.",
)
@options.model_version
@specflags.every
@click.option("--force", is_flag=True, help="Replace the version that -x names.")
@click.option("--rebuild", is_flag=True, help="Build also where nothing has changed.")
@click.option("--update-config", is_flag=True, help="Replace a config that differs.")
@click.option("--keep-config", is_flag=True, help="Build for the config that stands.")
@click.option(
    "-j",
    "--jobs",
    "count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Build up to N models side by side, as many as fit into memory; they share the cores.",
)
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
    count: int,
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

    Several are built one after another, or side by side with -j; where one fails the others go on,
    and a summary ends the answer. Flags are of all of them, so that --name, -x, --input and
    --weights FILE need a single SOURCE. Exit code 1 says that a verdict was no, 2 that something
    could not be done.
    """
    from dataclasses import replace

    from tritonforge import specfile
    from tritonforge.cli import builds
    from tritonforge.jobs import Job

    _refuse_contradictions(context)
    file = specfile.find(spec_file)
    above = flagged.layer(context, flags)
    wanted = names or specflags.listed(file, env)
    if len(wanted) > 1:
        _refuse_what_is_of_one(context)

    def ask(source: str) -> Job:
        found = specfile.effective(source, file, env, above)
        if found.listed and file is not None and names:
            output.aside(f"{source} is as {file.home(source, env)} has it")
        return Job(
            spec=found.spec if name is None else replace(found.spec, name=name),
            repository=model_repository,
            version=model_version,
            force=force,
            rebuild=rebuild,
            standing=specflags.standing(found, update=update_config, keep=keep_config),
            dry_run=dry_run,
        )

    def explain(source: str, error: "builds.Error") -> "builds.Error":
        found = specfile.effective(source, file, env, above)
        if isinstance(error, SourceError) and not found.listed:
            try:
                specfile.check_source(source, file, env)
            except SourceError as nearer:
                return nearer
        return found.located(error) if isinstance(error, SpecError | SourceError) else error

    if len(names) == 1:
        _one(names[0], ask(names[0]), explain, output_format)
    else:
        builds.several(wanted, ask, explain, count, output_format)


def _refuse_contradictions(context: click.Context) -> None:
    """Raise a usage error for flags of which one says what the other denies."""
    given = context.params
    if given["update_config"] and given["keep_config"]:
        raise click.UsageError("--update-config and --keep-config contradict each other")
    if given["force"] and given["model_version"] is None:
        raise click.UsageError("--force replaces the version that -x names: name one")


def _refuse_what_is_of_one(context: click.Context) -> None:
    """Raise a usage error for a flag that cannot mean several models."""
    for parameter in context.command.params:
        name = str(parameter.name)
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        is_file = name == "weights" and context.params[name] not in {"default", "random"}
        if given and (is_file or name in {"name", "model_version", "inputs"}):
            flag = "--weights FILE" if is_file else max(parameter.opts, key=len)
            raise click.UsageError(f"{flag} is of one model: name a single SOURCE", context)


def _one(source: str, job: "Job", explain: "builds.Explain", output_format: str) -> None:
    """Build a model and tell of it."""
    from tritonforge import sources
    from tritonforge.cli import built
    from tritonforge.jobs import carry_out

    try:
        with output.progress() as progress:
            made = carry_out(job, progress)
    except GateError as error:
        report: Any = error.report
        if report is not None and output_format == "json":
            name = sources.model_name(job.spec)
            output.as_json(built.failure(name, source, error.message, error.hint, error))
        elif report is not None:
            built.gate_table(report, "the gate failed")
        raise
    except ForgeError as error:
        raise explain(source, error) from error
    if output_format == "json":
        output.as_json(built.document(made))
    else:
        built.tell(made, dry_run=job.dry_run)
