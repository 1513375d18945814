"""What a server of ours holds while it runs, and what is left of it: looked up by its name."""

import re
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from tritonforge import leftovers

SECONDS = 30.0  # so long a test waits for something before it fails


def processes(name):
    """Return the ids of the processes that bear a server's name, each with its arguments."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if name in line:
            found[int(path.name)] = line.split("\0")
    return found


def stub(name, model):
    """Return the id of the one process that runs a model's instance."""
    (pid,) = [
        pid
        for pid, arguments in processes(name).items()
        if "stub" in arguments[0] and any(f"/{model}/" in each for each in arguments)
    ]
    return pid


def regions(name):
    """Return a server's shared memory, each region with the bytes that it takes."""
    found = {}
    for path in leftovers.SHARED_MEMORY.glob(f"{name}*"):
        try:
            found[path.name] = path.stat().st_blocks * 512
        except OSError:  # it was a request's own, and that is answered
            continue
    return found


def handles(pid):
    """Return how many files and sockets a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def resident(pid):
    """Return the bytes of memory that are a process's own: without what it shares."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("RssAnon:")]
    return int(line.split()[1]) << 10


def pending(endpoint, model):
    """Return how many requests wait in a model's queue."""
    with closing(HTTPConnection(endpoint.metrics, timeout=SECONDS)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    found = re.search(rf'pending_request_count{{model="{model}",version="1"}} (\d+)', text)
    return int(found[1]) if found else 0


def until(condition):
    """Wait for something to become true; return what it is in the end."""
    deadline = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()
