"""Work that may end whoever does it, done by a copy of this process.

ONNX's inference of types is C++ that trusts its file: some make it end the process, go round for
ever or ask for all memory, and not only such as were made for that. A copy is there in
milliseconds, as it has all that this process has imported.
"""

import faulthandler
import multiprocessing
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Generic, ParamSpec, TypeVar

from tritonforge import process
from tritonforge.errors import ForgeError

SECONDS = 60.0  # of a core: a graph of as many nodes as are looked at takes a third of it
_WAITED = 5  # times as long at most, however busy the machine is
_LEFT = 5.0  # seconds for each file, once several have taken so long
_ALL = 5 * SECONDS  # for all that came to nothing
MEMORY = 4 << 30  # bytes beyond those that this process has
_A_BYTE = 32  # bytes more for each that goes in: a forest of trees takes some twenty
_LOOK = 0.05  # seconds between two looks at what a copy takes
_TICKS = os.sysconf("SC_CLK_TCK")

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
        self._left = _ALL

    def __call__(self, *given: P.args, **named: P.kwargs) -> T:
        """Return what the function does, or raise its `ForgeError`; raises `LostError`, too."""
        size = sum(len(each) for each in given if isinstance(each, bytes))
        began = time.monotonic()
        try:
            line, copy = self._started()
            line.send((given, named))
            self._wait(line, copy, MEMORY + _A_BYTE * size)
            found, error, is_foreseen = line.recv()
        except (EOFError, OSError) as lost:
            self._left -= time.monotonic() - began
            raise LostError(self._end(lost)) from lost
        except LostError:
            self._left -= time.monotonic() - began
            self.close()
            raise
        if error is not None:
            raise error
        # What nobody foresaw is raised here, where its place in the code can be told.
        return found if is_foreseen else self._work(*given, **named)

    def close(self) -> None:
        """End the copy, where there is one."""
        copy, line, self._copy, self._line = self._copy, self._line, None, None
        if line is not None:
            line.close()
        if copy is not None:
            copy.kill()
            copy.join()

    def __del__(self) -> None:
        """End the copy with this process's last interest in it."""
        self.close()

    def _wait(self, line: Connection, copy: BaseProcess, memory: int) -> None:
        """Wait for an answer; raise `LostError` where the copy takes too much for it."""
        seconds = min(SECONDS, max(self._left, _LEFT))
        before, began = _taken(copy), time.monotonic()
        while not line.poll(_LOOK):
            now = _taken(copy)
            if now[0] - before[0] > seconds or time.monotonic() - began > _WAITED * seconds:
                raise LostError(f"took more than {seconds:.0f} seconds")
            if now[1] - before[1] > memory:
                raise LostError(f"took more than {memory / (1 << 30):.1f} GiB of memory")

    def _end(self, lost: Exception) -> str:
        """Say how the copy ended."""
        code = None
        if self._copy is None:
            return f"could not be started ({lost})"
        self._copy.join(1)
        code = self._copy.exitcode
        self.close()
        return "gave no answer" if code is None else process.how_ended(code)

    def _started(self) -> tuple[Connection, BaseProcess]:
        """Return the line to the copy, which answers until that is closed, and make them first."""
        if self._line is not None and self._copy is not None:
            return self._line, self._copy
        context = multiprocessing.get_context("fork")
        line, other = context.Pipe()
        tied = process.die_with(os.getpid(), signal.SIGKILL)  # it may be deep in C++ by then
        copy = context.Process(target=_answer, args=(self._work, other, line, tied), daemon=True)
        with _uninterrupted(), warnings.catch_warnings(), other:
            # A thread that draws the progress holds nothing that the copy waits for.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                copy.start()
            except OSError:
                line.close()
                raise
            self._line, self._copy = line, copy
        return line, copy


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Have ^C wait while a copy is made: it would hit hooks that swallow it, in both."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _taken(copy: BaseProcess) -> tuple[float, int]:
    """Return the seconds of a core and the bytes of memory that a process has taken."""
    with suppress(OSError, ValueError, IndexError):  # it has just ended, which its line tells
        folder = Path(f"/proc/{copy.pid}")
        spent = folder.joinpath("stat").read_text("ascii", "replace").rpartition(")")[2].split()
        pages = int(folder.joinpath("statm").read_text("ascii").split()[1])
        return (int(spent[11]) + int(spent[12])) / _TICKS, pages * resource.getpagesize()
    return 0.0, 0


def _answer(
    work: Callable[P, T], line: Connection, other: Connection, tied: Callable[[], None]
) -> None:
    """Do what is asked, one after the other, and say nothing else; ^C is the first process's."""
    tied()
    other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
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
            except MemoryError:  # of a machine, or under a limit, that has less
                answer = (None, LostError("found too little memory"), True)
            except Exception:  # noqa: BLE001 - the first process comes to it, too
                answer = (None, None, False)
            line.send(answer)
