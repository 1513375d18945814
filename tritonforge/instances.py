"""The processes that run a server's model instances, one each, and which of them have died.

Triton's Python backend does not look after them: a request to a dead one is refused, and the log
says nothing. The server waits only for those that it ends itself, so a dead one stays its zombie.
Source: triton-inference-server/python_backend, `stub_launcher.cc`.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_COMMAND = "triton_python_backend_stub"[:15]  # as much of a name as the kernel keeps
_NAME = 8  # which argument says whose process it is


class Watch:
    """Tells which instances of a server have died, each once."""

    def __init__(self, server: int | None) -> None:
        """Learn the instances of a server's process; None has none."""
        self._server = server
        self._names: dict[int, str] = {}
        self._told: set[int] = set()
        self.died()

    def died(self) -> tuple[str, ...]:
        """Say in a sentence each which have died since the last look."""
        found = []
        for pid, code in _instances(self._server):
            if code is None:
                self._names[pid] = _name(pid) or self._names.get(pid, "")
            elif code != 0 and pid not in self._told:  # 0: it was told to end
                self._told.add(pid)
                found.append(_sentence(self._names.get(pid, ""), code))
        return tuple(found)


def _instances(server: int | None) -> Iterator[tuple[int, int | None]]:
    """Yield a server's processes that run instances, each with how it ended, None while it runs.

    How is as `waitpid(2)` has it: `proc_pid_stat(5)`, field 52.
    """
    if server is None:
        return
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has gone meanwhile
            before, _, after = path.read_text("utf-8", errors="replace").rpartition(")")
            state, parent, *others = after.split()
            if int(parent) == server and before.endswith(f"({_COMMAND}"):
                yield int(path.parent.name), int(others[47]) if state == "Z" else None


def _name(pid: int) -> str:
    """Return the name of a running instance."""
    with suppress(OSError, IndexError):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return arguments[_NAME].decode(errors="replace")
    return ""


def _sentence(name: str, status: int) -> str:
    """Say how an instance ended."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        how = f"exit code {code}"
    else:
        memory = " (out of memory?)" if code == -signal.SIGKILL else ""
        how = f"killed by {signal.Signals(-code).name}{memory}"
    return f"the instance {name!r} has died: {how}"
