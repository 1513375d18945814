"""A process that carries out builds, one after another, for another process.

It takes a `Job` and answers with what is being done, `(what, done)`, and in the end an `Outcome`.
"""

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NoReturn

from tritonforge.jobs.job import attempt

_COLLECT_AFTER = 50_000  # see `cli.group`


def main(handle: str) -> None:
    """Work until the other side closes the connection, or asks to end by SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    ended = [1]
    # Runs last: Python would take apart all that torch has built up.
    atexit.register(lambda: os._exit(ended[0]))
    gc.set_threshold(_COLLECT_AFTER)
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError), Connection(int(handle)) as line:

        def report(what: str, done: float | None = None) -> None:
            with suppress(OSError):  # nobody listens any more, and we are about to be told
                line.send((what, done))

        while True:
            outcome = attempt(line.recv(), report)
            sys.stdout.flush()
            sys.stderr.flush()
            line.send(outcome)
    ended[0] = 0


def _end(_number: int, _frame: object) -> NoReturn:
    """Raise what ^C does, and not what exit() does, which a user's code is forgiven for.

    Once: who asks again, as the end of several does, must not cut short what is put in order.
    """
    signal.signal(signal.SIGTERM, lambda *_: None)  # a child would inherit SIG_IGN
    raise KeyboardInterrupt
