"""`tritonforge check`: what would fail or hurt, before a server sees it."""

from functools import partial
from typing import TYPE_CHECKING

import click

from tritonforge.cli import options, output, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tritonforge.check import Report
    from tritonforge.check.fixing import Plan
    from tritonforge.release import Release
    from tritonforge.repository import Repository


def _one(
    context: click.Context, option: click.Parameter, targets: "tuple[Release, ...]"
) -> "Release | None":
    """Refuse a second release: only one of the two would count."""
    if len(targets) > 1:
        raise click.BadParameter("it names one release: check once for each", context, option)
    return targets[0] if targets else None


@click.command()
@options.models
@options.repository_unless_explained
@click.option(
    "--target",
    type=parsed.TARGET,
    multiple=True,
    callback=_one,
    help="The NGC release that is to serve, such as 24.10; without it the one that each model was "
    "built for, else 24.10.",
)
@click.option(
    "--select",
    type=parsed.CODES,
    multiple=True,
    help="Tell only of these: codes or how they begin, as BAT,ENS2; repeat for more.",
)
@click.option("--ignore", type=parsed.CODES, multiple=True, help="Do not tell of these, likewise.")
@click.option(
    "--cores",
    type=click.IntRange(min=1),
    help="How many cores the server has; without it threads are not held against them.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 on advice, too.")
@click.option("--fix", is_flag=True, help="Make the changes that mend a config and are safe.")
@click.option("--diff", is_flag=True, help="Print the changes of --fix and leave all as it is.")
@click.option(
    "--explain",
    metavar="CODE",
    help="Tell of a rule: why, where it is written and what to do; of a family, as BAT, of several "
    "between commas, or of all, a line each.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "github", "sarif"]),
    default="table",
    show_default=True,
    help="How to print the answer; github: as commands that annotate a change.",
)
@click.pass_context
def command(
    context: click.Context,
    models: tuple[str, ...],
    model_repository: "Repository",
    target: "Release | None",
    select: tuple[frozenset[str], ...],
    ignore: tuple[frozenset[str], ...],
    cores: int | None,
    explain: str | None,
    output_format: str,
    *,
    strict: bool,
    fix: bool,
    diff: bool,
) -> None:
    """Say what of a repository the server would refuse, or serve as nobody meant.

    Checks the named models, or all. Nothing is loaded or run. Exit code 1 says that there are
    errors: `refused` or `wrong`.
    """
    from tritonforge.check import check

    if explain is not None:
        from tritonforge.cli import explained

        if output_format not in {"table", "json"}:
            raise click.UsageError("--explain has the formats table and json")
        explained.explain(explain, output_format)
        return
    if diff and output_format != "table":
        raise click.UsageError("--diff prints a diff, and has no other --format")
    with output.progress() as progress:
        judge = partial(
            check,
            model_repository,
            models=models,
            target=target,
            codes=_codes(select, ignore),
            cores=cores,
            progress=progress,
        )
        plan, report = _done(model_repository, judge, models, fix=fix, diff=diff)
    from tritonforge.cli import checked

    if diff and plan is not None:
        checked.changes(model_repository, plan)
    else:
        checked.FORMATS[output_format](model_repository, report, plan)
    for failure in report.failures:
        click.echo(f"Error: {output.line(failure.sentence)}", err=True)
    if report.failures:
        click.echo("Hint: this is a fault of tritonforge's own: report it with the model", err=True)
        context.exit(2)
    context.exit(0 if report.passed and not (strict and report.findings) else 1)


def _codes(
    select: tuple[frozenset[str], ...], ignore: tuple[frozenset[str], ...]
) -> frozenset[str] | None:
    """Return the codes that are told of, None for all."""
    if not (select or ignore):
        return None
    from tritonforge import rules

    every = frozenset(rule.code for rule in rules.RULES)
    chosen = every.intersection(frozenset().union(*select)) if select else every
    return chosen.difference(*ignore)


def _done(
    repository: "Repository",
    judge: "Callable[[], Report]",
    models: tuple[str, ...],
    *,
    fix: bool,
    diff: bool,
) -> "tuple[Plan | None, Report]":
    """Check, and mend where that is wished; return what was changed or would be, and is left."""
    from tritonforge.check import fixing
    from tritonforge.check import select as named

    if diff:
        report = judge()
        return fixing.plan(repository, report), report
    if fix:
        named(repository, models)  # a lock would make what is not there
        return fixing.fix(repository, judge)
    return None, judge()
