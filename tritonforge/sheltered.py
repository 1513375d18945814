"""Work that may end whoever does it, done by a process of its own.

ONNX's inference of types is C++ that trusts its file: some make it end the process, go round for
ever or ask for all memory, and not only such as were made for that. A fresh process, not a copy of
this one: that would hold the locks of threads which it has not got.
"""

import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from tritonforge import alongside, process
from tritonforge.errors import ForgeError
from tritonforge.process import Child

SECONDS = 60.0  # of a core: a graph of as many nodes as are looked at takes a third of it
_BEGINS = 20.0  # seconds of a core to begin: it takes a third of one
_WAITED = 5  # times as long at most, however busy the machine is
_LEFT = 5.0  # seconds for each file, once several have taken so long
_ALL = 5 * SECONDS  # for all that came to nothing
MEMORY = 4 << 30  # bytes beyond those that the process has
_A_BYTE = 32  # bytes more for each that goes in: a forest of trees takes some twenty
_LOOK = 0.05  # seconds between two looks at what the process takes
_DYING = 1.0  # seconds for it to be gone once its line is closed
_TICKS = os.sysconf("SC_CLK_TCK")

# How an answer begins: what the work came to, too little memory, or what nobody foresaw.
_DONE, _MEMORY, _UNFORESEEN = b"d", b"m", b"u"

Work = Callable[[bytes], bytes]


class LostError(Exception):
    """Work that ended the process which did it, or that was given up; says how."""


class Shelter:
    """A function of a module whose calls do this process no harm: bytes go in and come out."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._child: Child | None = None
        self._line: Connection | None = None
        self._has_begun = False
        self._end = ExitStack()
        self._left = _ALL

    def __call__(self, given: bytes) -> bytes:
        """Return what the function does, or raise `LostError`."""
        began = time.monotonic()
        try:
            line, child = self._started()
            line.send_bytes(given)
            seconds = min(SECONDS, max(self._left, _LEFT))
            self._wait(line, child, seconds, MEMORY + _A_BYTE * len(given))
            answer = line.recv_bytes(MEMORY)
        except (EOFError, OSError, ForgeError) as lost:
            self._left -= time.monotonic() - began
            raise LostError(self._ended(lost)) from lost
        except LostError:
            self._left -= time.monotonic() - began
            self.close()
            raise
        if answer[:1] == _MEMORY:
            raise LostError("found too little memory")
        # What nobody foresaw is raised here, where its place in the code can be told.
        return answer[1:] if answer[:1] == _DONE else self._work(given)

    def close(self) -> None:
        """End the process, where there is one."""
        self._child = self._line = None
        self._end.close()

    def _wait(self, line: Connection, child: Child, seconds: float, memory: int) -> None:
        """Wait for an answer; raise `LostError` where the process takes too much for it."""
        before, began = _taken(child), time.monotonic()
        while not line.poll(_LOOK):
            now = _taken(child)
            if now[0] - before[0] > seconds or time.monotonic() - began > _WAITED * seconds:
                raise LostError(f"took more than {seconds:.0f} seconds")
            if now[1] - before[1] > memory:
                raise LostError(f"took more than {memory / (1 << 30):.1f} GiB of memory")

    def _ended(self, lost: Exception) -> str:
        """Say how the process ended."""
        child = self._child
        if child is not None:
            process.wait(child, _DYING)
        code = None if child is None else child.returncode
        self.close()
        if child is None:
            return f"could not be started ({getattr(lost, 'strerror', None) or lost})"
        how = "gave no answer" if code is None else process.how_ended(code)
        return how if self._has_begun else f"could not be started (it {how})"

    def _started(self) -> tuple[Connection, Child]:
        """Return the line to the process, and start it first where there is none."""
        if self._line is None or self._child is None:
            self._has_begun = False
            work = (self._work.__module__, self._work.__qualname__)
            with Path(os.devnull).open("wb") as nothing:  # where C++ says its last
                other = alongside.running(__name__, *work, log=nothing, grace=0)
                self._child, self._line = self._end.enter_context(other)
            self._wait(self._line, self._child, _BEGINS, MEMORY)
            self._line.recv_bytes()
            self._has_begun = True
        return self._line, self._child


def main(module: str, name: str, handle: str) -> None:
    """Do what is asked, one after the other, until the other side closes the connection."""
    process.die_with(os.getppid(), signal.SIGKILL)()  # it may be deep in C++, and SIGTERM ignored
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work: Work = getattr(import_module(module), name)
    with suppress(EOFError, OSError), Connection(int(handle)) as line:
        line.send_bytes(b"")
        while True:
            given = line.recv_bytes()
            try:
                answer = _DONE + work(given)
            except MemoryError:  # of a machine, or under a limit, that has less
                answer = _MEMORY
            except Exception:  # noqa: BLE001 - the first process comes to it, too
                answer = _UNFORESEEN
            line.send_bytes(answer)


def _taken(child: Child) -> tuple[float, int]:
    """Return the seconds of a core and the bytes of memory that a process has taken."""
    with suppress(OSError, ValueError, IndexError):  # it has just ended, which its line tells
        folder = Path(f"/proc/{child.pid}")
        spent = folder.joinpath("stat").read_text("ascii", "replace").rpartition(")")[2].split()
        pages = int(folder.joinpath("statm").read_text("ascii").split()[1])
        return (int(spent[11]) + int(spent[12])) / _TICKS, pages * resource.getpagesize()
    return 0.0, 0
