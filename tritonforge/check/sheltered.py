"""Work that may end whoever does it, done by a copy of this process.

ONNX's inference of types is C++ that trusts its file: some make it end the process or go round for
ever, and not only such as were made for that. A copy is there in milliseconds, as it has all that
this process has imported.
"""

import faulthandler
import multiprocessing
import os
import resource
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Generic, ParamSpec, TypeVar

from tritonforge import process
from tritonforge.errors import ForgeError

SECONDS = 60.0  # a graph of as many nodes as are looked at takes a third of it
MEMORY = 4 << 30  # bytes beyond those that this process has

P = ParamSpec("P")
T = TypeVar("T")


class LostError(Exception):
    """Work that ended the process which did it, or that was given up; says how."""


class Shelter(Generic[P, T]):
    """A function whose calls do this process no harm: what goes in and comes out is pickled."""

    def __init__(self, work: Callable[P, T]) -> None:
        self._work = work
        self._copy: BaseProcess | None = None
        self._line: Connection | None = None

    def __call__(self, *given: P.args, **named: P.kwargs) -> T:
        """Return what the function does, or raise its `ForgeError`; raises `LostError`, too."""
        line = self._started() if self._line is None else self._line
        found, error = None, None
        try:
            line.send((given, named))
            if not line.poll(SECONDS):
                self.close()
                raise LostError(f"takes more than {SECONDS:.0f} seconds over it")
            found, error, is_foreseen = line.recv()
        except (EOFError, OSError) as lost:
            raise LostError(self._end()) from lost
        if error is not None:
            raise error
        # What nobody foresaw is raised here, where its place in the code can be told.
        return found if is_foreseen else self._work(*given, **named)

    def close(self) -> None:
        """End the copy, where there is one."""
        if self._copy is not None and self._line is not None:
            self._copy.kill()
            self._copy.join()
            self._line.close()
        self._copy = self._line = None

    def __del__(self) -> None:
        """End the copy with this process's last interest in it."""
        self.close()

    def _end(self) -> str:
        """Say how the copy ended."""
        code = None
        if self._copy is not None:
            self._copy.join(1)
            code = self._copy.exitcode
        self.close()
        if code is not None and code < 0:
            return f"dies of it ({signal.Signals(-code).name})"
        return f"ends at it with code {code}"

    def _started(self) -> Connection:
        """Make the copy, which answers until its line is closed."""
        context = multiprocessing.get_context("fork")
        tied = process.die_with(os.getpid(), signal.SIGKILL)  # it may be deep in C++ by then
        self._line, other = context.Pipe()
        self._copy = context.Process(
            target=_answer, args=(self._work, other, self._line, tied), daemon=True
        )
        with warnings.catch_warnings():
            # A thread that draws the progress holds nothing that the copy waits for.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._copy.start()
        other.close()
        return self._line


def _answer(
    work: Callable[P, T], line: Connection, other: Connection, tied: Callable[[], None]
) -> None:
    """Do what is asked, one after the other, and say nothing else; ^C is the first process's."""
    tied()
    other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory()
    faulthandler.disable()
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)  # where C++ says what did not hold
    with suppress(EOFError, OSError):
        while True:
            given, named = line.recv()
            answer: tuple[T | None, ForgeError | LostError | None, bool]
            try:
                answer = (work(*given, **named), None, True)
            except ForgeError as error:
                answer = (None, error, True)
            except MemoryError:
                said = f"takes more than {MEMORY >> 30} GiB of memory over it"
                answer = (None, LostError(said), True)
            except Exception:  # noqa: BLE001 - the first process comes to it, too
                answer = (None, None, False)
            line.send(answer)


def _limit_memory() -> None:
    """Bound what is taken from here on: a file of a hundred bytes may ask for all that there is."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    held, (soft, hard) = pages * resource.getpagesize(), resource.getrlimit(resource.RLIMIT_AS)
    most = held + MEMORY if soft == resource.RLIM_INFINITY else min(soft, held + MEMORY)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
