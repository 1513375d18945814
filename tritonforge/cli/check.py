"""`tritonforge check`: what would fail or hurt, before a server sees it."""

from typing import TYPE_CHECKING

import click

from tritonforge.cli import options, output, parsed

if TYPE_CHECKING:
    from tritonforge.release import Release
    from tritonforge.repository import Repository


@click.command()
@options.models
@options.model_repository
@click.option(
    "--target",
    type=parsed.TARGET,
    help="The NGC release that is to serve, such as 24.10; without it the one that each model was "
    "built for, else 24.10.",
)
@options.output_format
@click.pass_context
def command(
    context: click.Context,
    models: tuple[str, ...],
    model_repository: "Repository",
    target: "Release | None",
    output_format: str,
) -> None:
    """Say what of a repository the server would refuse, or serve as nobody meant.

    Checks the named models, or all. Nothing is loaded or run. Exit code 1 says that there are
    errors.
    """
    from tritonforge.check import check
    from tritonforge.cli import checked

    with output.progress() as progress:
        report = check(model_repository, models=models, target=target, progress=progress)
    checked.FORMATS[output_format](report)
    context.exit(0 if report.passed else 1)
