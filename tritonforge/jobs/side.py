"""Builds side by side: processes that each carry out one job after another, within memory."""

import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import IO

from tritonforge import alongside, leftovers, memory, process, sources
from tritonforge.errors import ForgeError
from tritonforge.jobs import needs
from tritonforge.jobs.job import Job, Outcome
from tritonforge.process import Child
from tritonforge.progress import Progress

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE = 0.5  # seconds until memory is looked at again
_DYING = 5.0  # seconds for a process to be gone that has closed its connection
_KEEPS = 1 << 30  # bytes that a process may hold between two jobs; more is given back by its end


@dataclass(slots=True, kw_only=True)
class _Worker:
    """A process, the job that it is at (None for none), and how to end it."""

    child: Child
    line: Connection
    log: IO[bytes]
    end: ExitStack
    place: int | None = None
    need: int = 0
    began: float = 0.0
    read: int = 0

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self.child.pid


def side_by_side(
    jobs: Sequence[Job], count: int, progress: Callable[[int], Progress]
) -> Iterator[tuple[int, Outcome]]:
    """Carry out jobs in up to `count` processes, see `jobs.run`.

    A job waits while those that run are expected to need the memory that is left.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    waiting = deque((place, job, needs.of(job)) for place, job in enumerate(jobs))
    with _crew(jobs) as crew:
        while waiting or any(each.place is not None for each in crew):
            while waiting and _hand_out(waiting[0], crew, count, threads):
                progress(waiting.popleft()[0])("starting")
            for place, worker in _heard(crew):
                heard = _hear(worker)
                if not isinstance(heard, Outcome):
                    progress(place)(*heard)
                    continue
                _release(worker, crew)
                if worker.child.returncode:
                    _sweep([jobs[place]])
                yield place, heard


@contextmanager
def _crew(jobs: Sequence[Job]) -> Iterator[list[_Worker]]:
    """Keep the processes; in the end all end at once, and what the killed left is removed."""
    crew: list[_Worker] = []
    try:
        yield crew
    finally:
        for each in crew:
            process.terminate(each.child)
        with ExitStack() as ends:
            for each in crew:
                ends.push(each.end)
        if any(each.child.returncode for each in crew):
            _sweep(jobs)


def _hand_out(first: tuple[int, Job, int], crew: list[_Worker], count: int, threads: int) -> bool:
    """Give a job to an idle process or a new one; say whether there was room for it."""
    place, job, need = first
    running = {each.pid: each.need for each in crew if each.place is not None}
    idle = next((each for each in crew if each.place is None and each.child.poll() is None), None)
    if len(running) == count:
        return False
    if not needs.leave_room(need, memory.held(idle.pid) if idle else 0, running):
        return False
    worker = idle or _start(crew, threads)
    worker.place, worker.need, worker.began = place, need, time.monotonic()
    with suppress(OSError):  # it has died, which is heard
        worker.line.send(job)
    return True


def _start(crew: list[_Worker], threads: int) -> _Worker:
    """Start a process that waits for a job."""
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile())
        limits = {name: str(threads) for name in _THREADS if name not in os.environ}
        child, line = stack.enter_context(
            alongside.running("tritonforge.jobs.worker", log=log, environment=limits)
        )
        worker = _Worker(child=child, line=line, log=log, end=stack.pop_all())
    crew.append(worker)
    return worker


def _heard(crew: list[_Worker]) -> list[tuple[int, _Worker]]:
    """Return those that say something, or have died, with the places of their jobs."""
    busy = [(each.place, each) for each in crew if each.place is not None]
    said = wait([each.line for _, each in busy], _PATIENCE)
    return [
        (place, each)
        for place, each in busy
        if each.line in said or each.child.poll() is not None  # a process of its own may hold it
    ]


def _hear(worker: _Worker) -> tuple[str, float | None] | Outcome:
    """Take what a process says; where it has died, that is how its job ended."""
    try:
        heard: tuple[str, float | None] | Outcome = (
            worker.line.recv() if worker.line.poll() else _died(worker)
        )
    except (EOFError, OSError):
        heard = _died(worker)
    except Exception as error:  # noqa: BLE001 - whatever reading an answer may raise
        fault = ForgeError(f"the answer of the process that built it cannot be read: {error}")
        heard = Outcome(seconds=time.monotonic() - worker.began, error=fault)
    return replace(heard, printed=_printed(worker)) if isinstance(heard, Outcome) else heard


def _died(worker: _Worker) -> Outcome:
    """Say how a process ended in the midst of its job."""
    process.wait(worker.child, _DYING)
    worker.line.close()
    code = worker.child.returncode
    hint = "build it alone to see more"
    if code == -signal.SIGKILL:
        hint = "build it where more memory is free, or with a smaller -j"
    how = "does not answer" if code is None else process.how_ended(code)
    error = ForgeError(f"the process that built it {how}", hint=hint)
    return Outcome(seconds=time.monotonic() - worker.began, error=error)


def _printed(worker: _Worker) -> str:
    """Return what a process has written since its last job; its own place in the file stays."""
    found = os.pread(worker.log.fileno(), 1 << 20, worker.read)
    worker.read = os.fstat(worker.log.fileno()).st_size
    return found.decode(errors="replace")


def _release(worker: _Worker, crew: list[_Worker]) -> None:
    """Let a process wait for its next job; end it where it has died or holds much memory."""
    worker.place = None
    if not worker.line.closed and memory.held(worker.pid) <= _KEEPS:
        return
    crew.remove(worker)
    worker.end.close()


def _sweep(jobs: Sequence[Job]) -> None:
    """Remove what killed processes have left of their jobs."""
    leftovers.sweep()
    for job in jobs:
        with suppress(ForgeError, OSError):  # the next build does it
            if not job.dry_run:
                job.repository.sweep(sources.model_name(job.spec))
