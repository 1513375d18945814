"""What people and programs see: tables, JSON on stdout; progress on stderr."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tritonforge.progress import Progress
    from tritonforge.repository import Repository


def as_json(answer: Any) -> None:
    """Print an answer as JSON; numbers that JSON cannot hold (NaN, infinity) become null."""
    import json

    click.echo(json.dumps(_plain(answer), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """Replace what JSON cannot hold."""
    import math

    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: int = 1,
    title: str | None = None,
    wrap: bool = False,
) -> None:
    """Print a table on stdout; the first `left` columns are text, the others numbers.

    With `wrap` a long text takes several lines of a terminal, else the terminal cuts its lines.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, soft_wrap=not wrap, markup=False)
    if not console.is_terminal:  # a pipe has no width; never cut a figure off
        console = Console(file=sys.stdout, width=240, markup=False)
    view = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for index, name in enumerate(columns):
        view.add_column(name, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        view.add_row(*map(harmless, row))
    console.print(view)


def harmless(text: str) -> str:
    """Write control characters out: a name in somebody's file must not steer the terminal."""
    return "".join(
        each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text
    )


def line(text: str) -> str:
    """Write a text as one line that steers no terminal; what it breaks by becomes a space."""
    return harmless(text.replace("\r\n", " ").replace("\n", " "))


def unified(before: str, after: str, name: str) -> str:
    """Return a unified diff; only a newline ends a line, whatever strings hold."""
    import re
    from difflib import unified_diff

    old, new = (re.findall(r"[^\n]*\n|[^\n]+", each) for each in (before, after))
    lines = unified_diff(old, new, name, name)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


@contextmanager
def progress() -> "Iterator[Progress]":
    """Show what is being done, with a bar where the end is known; off terminals what lasts."""
    if not sys.stderr.isatty():
        from tritonforge.cli import patience

        with patience.opened() as steps:
            yield steps.progress()
        return
    import os

    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    # A descriptor of its own: an exporter's chatter is turned away from stderr while it works.
    terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with terminal, Bar(*columns, console=Console(file=terminal), transient=True) as bar:
        task = bar.add_task("", total=None)

        def report(what: str, done: float | None = None) -> None:
            total = None if done is None else 1.0
            bar.update(task, description=what, total=total, completed=done or 0.0)

        yield report


def aside(line: str) -> None:
    """Say something on stderr that is not the answer."""
    click.echo(line, err=True)


def left_out(repository: "Repository", models: tuple[str, ...]) -> None:
    """Say which models have no version, where all of them were asked for."""
    missing = () if models else repository.unbuilt()
    if not missing or len(missing) == len(repository.models()):
        return
    zero = [each for each in missing if repository.has_zero(each)]
    if without := [each for each in missing if each not in zero]:
        aside(f"Left out, without a version: {', '.join(without)}")
    if zero:
        why = "tritonforge does not serve version 0 (rename the folder to 1)"
        aside(f"Left out, {why}: {', '.join(zero)}")
