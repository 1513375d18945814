"""Pretrained weights from the network: waited for so long and no longer, and never run as code."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from http.client import HTTPException
from urllib.error import URLError

from tritonforge.errors import SourceError
from tritonforge.sources import weights

_TIMEOUT = 30.0  # seconds without a byte


@contextmanager
def fetched(what: str, kept: str) -> Iterator[None]:
    """Let a library fetch weights; raises `SourceError` where they cannot be had or read.

    `kept` says where the library keeps what it has fetched.
    """
    try:
        with _safely():
            yield
    except (URLError, HTTPException, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        raise SourceError(
            f"cannot download {what}: {reason}",
            hint="check the network, give --weights FILE, or use --weights random",
        ) from error
    except Exception as error:  # torch refuses what is damaged, or would run code, in many ways
        raise SourceError(
            f"{what} lie in the cache but cannot be read: {weights.reason(error)}",
            hint=f"delete their file below {kept} and build again",
        ) from error


@contextmanager
def _safely() -> Iterator[None]:
    """Bound the wait for the network, let torch unpickle nothing but tensors and print aside."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        with weights.nothing_but_tensors(), redirect_stdout(sys.stderr):  # stdout is the answer's
            yield
    finally:
        socket.setdefaulttimeout(before)
