"""Many models read by a second process, too, which leaves what it finds where this one looks.

It goes from the last one backwards, so that the two meet, whichever is faster; it ends with this
process at the latest, and is none of whose answers anything depends on.
"""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from tritonforge import alongside, process
from tritonforge.check import remembering
from tritonforge.check.known import Known
from tritonforge.check.reading import model, models
from tritonforge.errors import ForgeError
from tritonforge.release import Release, find
from tritonforge.repository import Repository
from tritonforge.sheltered import MEMORY

FEW = 200  # models: a process takes half a second to begin
_MET = 50  # models in turn that are known already


def pays(left: int) -> bool:
    """Say whether so many models are enough for a second process, and there is room for it."""
    return left >= FEW and len(os.sched_getaffinity(0)) > 1 and remembering.folder() is not None


@contextmanager
def reading(repository: Repository, target: Release | None) -> Iterator[None]:
    """Let a second process read models while the block runs."""
    root, tag = str(repository.path.absolute()), target.tag if target else ""
    with ExitStack() as stack:
        with suppress(ForgeError, OSError):  # there is no room for it: this one reads all
            argv = alongside.command(__name__, root, tag)
            nothing = stack.enter_context(Path(os.devnull).open("wb"))
            stack.enter_context(
                process.child(argv, log=nothing, quiet=True, grace=0, ties_itself=True)
            )
        yield


def main(root: str, tag: str) -> None:
    """Read the models of a repository, the last one first, until it meets the other process.

    A file may end this process: nothing is lost by it.
    """
    process.die_with(os.getppid(), signal.SIGKILL)()  # it may be deep in C++, and SIGTERM ignored
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError):  # there is a lower limit already
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    repository, target = Repository(Path(root)), find(tag) if tag else None
    idle = 0  # models in turn of which all was known
    with closing(Known(sheltered=False)) as known:
        for name in reversed(models(repository)):
            before = known.new
            with suppress(Exception):  # the other process comes to it and tells
                model(repository, name, target, known)
            idle = 0 if known.new > before else idle + 1
            if idle >= _MET:
                break
