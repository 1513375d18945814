"""A command whose model may end the process: a copy of it carries that out, and this one tells."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from tritonforge import process
from tritonforge.errors import GraphError

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def outlive() -> None:
    """Return in a copy of this process; this one raises what becomes of that, in the end.

    A copy takes milliseconds where a fresh process would take as long as Python and click. It is
    sound of a process without threads alone: one that has them, or is not to be copied, goes on.
    """
    if _has_threads():
        return
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # it would be written twice
    tie = process.die_with(os.getpid(), signal.SIGKILL)
    try:
        copy = os.fork()
    except OSError:  # there is no room for one
        return
    if copy:
        _told(copy)
    tie()
    os.setpgid(0, 0)  # ^C reaches the first one alone, which passes it on
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a terminal may hold up what others print


def _told(copy: int) -> NoReturn:
    """Wait for a copy; end as it does, and raise `GraphError` where a signal has ended it."""

    def pass_on(number: int, frame: Any) -> None:
        del frame
        with suppress(ProcessLookupError):
            os.kill(copy, number)

    for each in _PASSED_ON:
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, pass_on)
    code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    if code >= 0:
        raise SystemExit(code)
    raise GraphError(
        f"the process that read the model {process.how_ended(code)}",
        hint="ONNX's library does not come through it: look for a node with attributes or shapes"
        " that make no sense, or export the model again",
    )


def _has_threads() -> bool:
    """Say whether this process has more than one thread, or does not know."""
    with suppress(OSError):
        return len([*Path("/proc/self/task").iterdir()]) > 1
    return True
