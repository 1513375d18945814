"""Processes of ours alongside this one: `main` of a module, in an interpreter of its own."""

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO

from tritonforge import process
from tritonforge.errors import ForgeError
from tritonforge.process import Child

_MAIN = """import json, os, sys
from importlib import import_module
sys.path[:] = json.loads(sys.argv[1])
import_module("tritonforge.process").die_with(os.getppid())()
import_module(sys.argv[2]).main(*sys.argv[3:])"""
_FREE = 3  # the first handle that is none of stdin, stdout and stderr


def command(module: str, *args: str) -> tuple[str, ...]:
    """Return the command that calls `main` of a module of ours with these arguments.

    It ties itself to the process that starts it, see `process.child`.
    The same modules are found there as here, and none beside them: -P keeps the current folder out.
    Names of files are read there as here. Raises `ForgeError` where this process is no Python that
    could be started again, such as one within another program.
    """
    if not sys.executable:
        raise ForgeError("Python does not know where its own program is")
    places = [each for each in sys.path if isinstance(each, str)]  # as Python itself looks at them
    names = f"utf8={sys.flags.utf8_mode}"
    return (sys.executable, "-P", "-X", names, "-c", _MAIN, json.dumps(places), module, *args)


@contextmanager
def running(
    module: str,
    *args: str,
    log: IO[bytes],
    environment: Mapping[str, str] | None = None,
    grace: float = process.GRACE_SECONDS,
) -> Iterator[tuple[Child, Connection]]:
    """Run `main` of a module while the block runs, and yield our end of a line to it.

    Its last argument is the handle of its end of that; its output goes to `log`. Raises
    `ForgeError` or `OSError` where it cannot be started.
    """
    with ExitStack() as stack:
        ours, theirs = Pipe()
        stack.enter_context(ours)
        with theirs:
            # Where one of the first three is closed here it may be the line's, and is not passed.
            handle = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, _FREE)
            try:
                argv = command(module, *args, str(handle))
                child = stack.enter_context(
                    process.child(
                        argv,
                        log=log,
                        environment=environment,
                        grace=grace,
                        quiet=True,
                        pass_fds=[handle],
                        ties_itself=True,
                    )
                )
            finally:
                os.close(handle)
        stack.enter_context(ours)  # closed first, which ends one that is idle
        yield child, ours
