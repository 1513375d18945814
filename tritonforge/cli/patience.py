"""What takes long where no terminal shows it: lines on stderr, ever more rarely."""

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TextIO

from tritonforge.cli import output
from tritonforge.progress import Progress

_LONG = 30.0  # seconds until a step is told; then after twice as many each time
_LOOK = 1.0  # seconds between two looks


@dataclass(slots=True)
class _Step:
    """What is being done, since when, and after how many seconds it is told."""

    what: str
    began: float = field(default_factory=time.monotonic)
    due: float = field(default_factory=lambda: _LONG)


class Patience:
    """The steps under way, by the names of those whose they are."""

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}

    def progress(self, name: str = "") -> Progress:
        """Return what takes the steps of one; the name goes before what is told of them."""

        def report(what: str, done: float | None = None) -> None:
            del done
            what = f"{name}: {what}" if name else what
            step = self._steps.get(name)
            if step is None or step.what != what:
                self._steps[name] = _Step(what)

        return report

    def end(self, name: str) -> None:
        """Forget the step of one that has ended."""
        self._steps.pop(name, None)

    def watch(self, ended: Event, file: TextIO) -> None:
        """Tell what lasts, each time after twice as long, until all has ended."""
        while not ended.wait(_LOOK):
            for step in [*self._steps.values()]:
                lasted = time.monotonic() - step.began
                if lasted >= step.due:
                    step.due *= 2
                    with suppress(OSError):  # nobody reads it any more, which ends nothing
                        file.write(f"{output.line(step.what)}: {lasted:.0f} s so far\n")
                        file.flush()


@contextmanager
def opened() -> Iterator[Patience]:
    """Watch over the steps that are told while the block runs."""
    ended, patience = Event(), Patience()
    with _stderr() as file:
        thread = Thread(target=patience.watch, args=(ended, file), daemon=True)
        thread.start()
        try:
            yield patience
        finally:
            ended.set()
            thread.join()


@contextmanager
def _stderr() -> Iterator[TextIO]:
    """Open stderr once more: an exporter's chatter is turned away from it while it works."""
    try:
        handle = os.dup(sys.stderr.fileno())
    except io.UnsupportedOperation:  # what stands in for it has no descriptor
        yield sys.stderr
        return
    file = os.fdopen(handle, "w")
    try:
        yield file
    finally:
        with suppress(OSError):  # of what could not be written
            file.close()
