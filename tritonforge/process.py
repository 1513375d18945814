"""The one place that starts a child process: from a list, echoed, bounded and cleaned up."""

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tritonforge.errors import ForgeError

Child = subprocess.Popen[bytes]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a child ended: its exit code (negative: the signal) and all that it printed."""

    argv: tuple[str, ...]
    returncode: int
    output: str

    @property
    def tail(self) -> str:
        """Return the last line that says something, for one-sentence errors."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.returncode}"


def echo(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Print a command on stderr as `+ …`, ready to paste, with what it adds to the environment."""
    changed = [
        f"{key}={shlex.quote(value)}"
        for key, value in (environment or {}).items()
        if os.environ.get(key) != value
    ]
    print("+", *changed, shlex.join(argv), file=sys.stderr, flush=True)  # noqa: T201 - the echo


@contextmanager
def child(
    argv: Sequence[str],
    *,
    log: IO[bytes],
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    grace: float = GRACE_SECONDS,
    quiet: bool = False,
    guarded: bool = False,
    enough: Callable[[], bool] | None = None,
    pass_fds: Sequence[int] = (),
    ties_itself: bool = False,
) -> Iterator[Child]:
    """Run `argv` while the block runs, its output in `log`; nothing of it is left afterwards.

    The child leads a process group of its own, so that ^C reaches us alone and we end it in order:
    SIGTERM, `grace` seconds or until `enough` says so, SIGKILL to the whole group. If we are
    killed, the kernel sends it SIGTERM (`prctl(2)`, PR_SET_PDEATHSIG; the signal follows the death
    of the thread that calls this, so call it from one that outlives the child). A `guarded` child
    is killed then together with all its group, however stuck that may be. One that `ties_itself`
    has the kernel signal it by its own doing, so that nothing of ours runs in a copy of threads.
    `environment` replaces the variables it names and keeps the others; the files of `pass_fds` stay
    open in the child. Raises `ForgeError` where the program cannot be started.
    """
    if not quiet:
        echo(argv, environment)
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            preexec_fn=None if ties_itself else die_with(os.getpid()),  # noqa: PLW1509 - only prctl
        )
    except OSError as error:
        raise ForgeError(f"cannot run {argv[0]}: {error.strerror or error}") from error
    try:
        with _guard(process.pid) if guarded else nullcontext():
            try:
                yield process
            finally:  # within the guard: we may be killed while we wait for the end
                _end(process, grace, enough)
    finally:
        if process.returncode is None:  # there was no starting the guard
            _end(process, 0, None)


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    watch: Callable[[], None] | None = None,
    quiet: bool = False,
) -> Finished:
    """Run `argv` to its end and return what it printed; after `timeout` seconds end it.

    `log` keeps the output in a file; `watch` is called twice a second while the child runs, and
    what it raises ends the child. Raises `ForgeError` on time-out; a non-zero exit is the caller's
    to judge.
    """
    import tempfile

    with (
        log.open("w+b") if log else tempfile.TemporaryFile() as sink,
        child(argv, log=sink, environment=environment, cwd=cwd, quiet=quiet) as process,
    ):
        deadline = time.monotonic() + timeout
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise ForgeError(f"{argv[0]} did not end within {timeout:.0f} s")
            if watch is not None:
                watch()
            wait(process, 0.5)
        sink.seek(0)
        output = sink.read().decode(errors="replace")
    return Finished(argv=tuple(argv), returncode=process.returncode, output=output)


def wait(process: Child, seconds: float) -> bool:
    """Wait up to `seconds` for a child's end; say whether it came."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def terminate(child: Child) -> None:
    """Ask a child and its process group to end, without waiting for it."""
    if child.poll() is None:
        _signal(child.pid, signal.SIGTERM)


def how_ended(returncode: int) -> str:
    """Say how a process ended that was not asked to."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    memory = " (out of memory?)" if returncode == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-returncode).name}{memory}"


def has_memory(child: Child) -> bool:
    """Say whether a child is more than a dying process.

    The kernel takes a process's memory before it closes its sockets: whoever was cut off by the
    death of a child sees it here, even while the child can still be connected to.
    """
    try:
        return bool(Path(f"/proc/{child.pid}/cmdline").read_bytes())
    except OSError:
        return False


def die_with(parent: int, number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Make the function that ties a new child's life to this process: the kernel signals it."""
    libc = ctypes.CDLL(None)  # loaded here: after fork only async-signal-safe work is sound

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # the parent died before prctl took effect
            os._exit(1)

    return tie


@contextmanager
def _guard(group: int) -> Iterator[None]:
    """Kill a process group when we die, by whatever: a shell waits for our end of its pipe."""
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", 'read -r line; kill -s KILL -- "-$0"', str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with watcher:  # closes the pipe and waits
        try:
            yield
        finally:
            watcher.kill()


def _end(process: Child, grace: float, enough: Callable[[], bool] | None) -> None:
    """End the child and its whole process group, politely first; never leave a zombie."""
    try:
        if process.poll() is None:
            _signal(process.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while not wait(process, 0.05) and time.monotonic() < deadline:
                if enough is not None and enough():
                    break
    finally:  # also when ^C interrupts the wait
        _signal(process.pid, signal.SIGKILL)
        process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group that may be gone already."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
