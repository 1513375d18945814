"""One view of work on several models: how many have ended, and a row for each that runs."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tritonforge.cli import patience
from tritonforge.cli.patience import Patience
from tritonforge.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


_BAR = 16  # columns


class View:
    """Rows on a terminal; without one only what takes long is told."""

    def __init__(self, names: Sequence[str], bar: "Bar | None", steps: Patience) -> None:
        self._names = names
        self._bar = bar
        self._steps = steps
        self._rows: dict[int, TaskID] = {}
        self._ended = 0
        self._whole = None if bar is None else bar.add_task("", total=len(names), step="")
        self._count()

    def progress(self, place: int) -> Progress:
        """Return what shows the work on the model at a place in a row of its own."""
        bar = self._bar
        if bar is None:
            return self._steps.progress(self._names[place])
        if place not in self._rows:
            self._rows[place] = bar.add_task(self._names[place], total=None, step="")
        row = self._rows[place]

        def report(what: str, done: float | None = None) -> None:
            total = None if done is None else 1.0
            bar.update(row, step=what, total=total, completed=done or 0.0)

        return report

    def end(self, place: int) -> None:
        """Take the row of a model away, and count it."""
        if self._bar is not None and (row := self._rows.pop(place, None)) is not None:
            self._bar.remove_task(row)
        self._steps.end(self._names[place])
        self._ended += 1
        self._count()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Leave the terminal to what is printed meanwhile."""
        if self._bar is None:
            yield
            return
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def _count(self) -> None:
        """Show how many have ended."""
        if self._bar is not None and self._whole is not None:
            text = f"{self._ended} of {len(self._names)}"
            self._bar.update(self._whole, description=text, completed=self._ended)


@contextmanager
def opened(names: Sequence[str]) -> Iterator[View]:
    """Show the work on models of these names while the block runs; it leaves nothing behind."""
    if not sys.stderr.isatty():
        with patience.opened() as steps:
            yield View(names, None, steps)
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    # A descriptor of its own: an exporter's chatter is turned away from stderr while it works.
    terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w")
    console = Console(file=terminal)
    room = console.width - _BAR - len(" 0:00:00") - len("⠋   ")
    name, step = (
        TextColumn(
            text,
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", max_width=max(room // 2, 1)),
        )
        for text in ("{task.description}", "{task.fields[step]}")
    )
    columns = (SpinnerColumn(), name, step, BarColumn(bar_width=_BAR), TimeElapsedColumn())
    bar = Bar(*columns, console=console, transient=True, redirect_stdout=False)
    with terminal, bar:
        yield View(names, bar, Patience())
