"""Ports on loopback: is one free, and which ones are."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack

from tritonforge.errors import ServerError

HOST = "127.0.0.1"


def check(wanted: Mapping[str, int | None]) -> None:
    """Raise `ServerError` that names the option of a port that is taken."""
    for kind, port in wanted.items():
        if port is not None and not is_free(port):
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
