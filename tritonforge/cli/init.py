"""`tritonforge init`: a file of specs to begin with."""

from typing import Any

import click

from tritonforge.cli import output, specflags


@click.command()
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@specflags.spec_file
@click.option(
    "--schema",
    "with_schema",
    is_flag=True,
    help="Write tritonforge.schema.json beside it, by which editors complete and check keys.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--dry-run", is_flag=True, help="Print the file, but write nothing.")
def command(
    sources: tuple[str, ...], spec_file: Any, with_schema: bool, force: bool, dry_run: bool
) -> None:
    """Write a commented tritonforge.toml, with a model for each SOURCE.

    SOURCE is what build takes; without one resnet50 stands as an example. Of an .onnx file the
    dynamic dimensions are listed.
    """
    from pathlib import Path

    from tritonforge import beginning

    path = spec_file or Path(beginning.FILE)
    if with_schema and path.exists() and not (sources or force or dry_run):
        click.echo(beginning.describe(path))
        output.aside(f"{path} stays as it is; an editor finds the schema by its first line,")
        output.aside(f"#:schema ./{beginning.SCHEMA}")
        return
    begun = beginning.begin(sources or ("resnet50",), path, with_schema=with_schema)
    if dry_run:
        click.echo(begun.text, nl=False)
        return
    for written in beginning.write(begun, path, force=force):
        click.echo(written)
    of = "" if spec_file is None else f" -f {spec_file}"
    output.aside(
        f"tritonforge build{of} makes its models, tritonforge spec{of} MODEL shows what counts"
    )
