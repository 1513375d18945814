"""Ports on loopback: is one free, and which ones are."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from tritonforge.errors import ServerError

HOST = "127.0.0.1"
_LISTEN = "0A"  # linux/tcp_states.h


def check(wanted: Mapping[str, int | None]) -> None:
    """Raise `ServerError` that names the option of a port that is taken, or given twice."""
    options: dict[int, str] = {}
    for kind, port in wanted.items():
        if port is None:
            continue
        if port in options:
            raise ServerError(
                f"{options[port]} and --{kind}-port are both {port}",
                hint="each needs a port of its own; 0 takes a free one",
            )
        options[port] = f"--{kind}-port"
        if not is_free(port):
            raise ServerError(
                f"port {port} is in use on {HOST}",
                hint=f"end what listens there, or choose another with --{kind}-port",
            )


def choose(wanted: Mapping[str, int | None]) -> dict[str, int]:
    """Return a port for each listener: the wanted one, else a free one."""
    with ExitStack() as stack:  # held together, so that no two are the same
        found = {}
        for kind, port in wanted.items():
            holder = stack.enter_context(socket.socket())
            holder.bind((HOST, 0))
            found[kind] = holder.getsockname()[1] if port is None else port
    return found


def is_held(port: int, pid: int) -> bool:
    """Say whether it is this process that listens on a port (`proc_pid_net(5)`)."""
    with suppress(OSError):  # it has ended, or closed a file meanwhile
        listening = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    listening.add(f"socket:[{fields[9]}]")
        handles = Path(f"/proc/{pid}/fd").iterdir()
        return any(str(handle.readlink()) in listening for handle in handles)
    return False


def is_free(port: int) -> bool:
    """Say whether a server may listen on a port."""
    with socket.socket() as holder:
        # connections of an earlier server that are still closing do not matter
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind((HOST, port))
        except OSError:
            return False
    return True
