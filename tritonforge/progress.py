"""How long work tells what it does: a function, so that the library never prints."""

from typing import Protocol


class Progress(Protocol):
    """Take what is being done now, and the fraction done (0 to 1) where it is known."""

    def __call__(self, what: str, done: float | None = None) -> None:
        """Report; never raises."""


def silent(what: str, done: float | None = None) -> None:
    """Report to nobody."""
    del what, done


def share(progress: Progress, index: int, count: int) -> Progress:
    """Return a progress that fills one of `count` equal parts."""

    def report(what: str, done: float | None = None) -> None:
        progress(what, None if done is None else (index + done) / count)

    return report
