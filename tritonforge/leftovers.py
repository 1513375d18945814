"""What a killed process leaves behind: names that tell whose it was, and the sweep.

Shared memory and temporary folders are named after the process that answers for them: its PID
namespace (a container may share `/dev/shm` but not our process ids), its id and its start time
(ids are used again). Whatever bears the name of a dead process is swept. Triton's Python backend
makes one folder for each server under a name of its own, `/tmp/python_env_XXXXXX`, which only an
unhurried exit removes; one that is older than every live server has no owner any more.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux keeps it, not a temporary file

_ENVIRONMENTS = Path("/tmp")  # noqa: S108 - where python_backend's `pb_env.cc` puts them
_NAME = re.compile(r"^tritonforge-(\d+)-(\d+)-(\d+)-")


def mark() -> str:
    """Return the beginning of every name for which this process answers."""
    return f"tritonforge-{_namespace()}-{os.getpid()}-{_started(os.getpid())}-"


def sweep() -> tuple[Path, ...]:
    """Delete what dead processes of this user left; return it."""
    dead = tuple(path for path in _named() if _is_dead(path.name))
    _delete(dead)
    _remove_environments()
    return dead


def clear(beginning: str) -> None:
    """Delete what has a name with this beginning, which holds a `mark`."""
    _delete(path for path in _named() if path.name.startswith(beginning))
    _remove_environments()


def _named() -> Iterator[Path]:
    """Find what bears such a name and belongs to this user."""
    for place in (SHARED_MEMORY, Path(tempfile.gettempdir())):
        for path in place.glob("tritonforge-*"):
            with suppress(OSError):
                if _NAME.match(path.name) and path.lstat().st_uid == os.getuid():
                    yield path


def _delete(paths: Iterator[Path] | tuple[Path, ...]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):  # another sweep was faster
                path.unlink()


def _is_dead(name: str) -> bool:
    """Say whether the process of a name has gone; False where that cannot be known from here."""
    match = _NAME.match(name)
    if match is None or match[1] != _namespace():
        return False
    return _started(int(match[2])) != match[3]


def _namespace() -> str:
    """Return the number of this process's PID namespace (`namespaces(7)`)."""
    try:
        name = Path("/proc/self/ns/pid").readlink().name  # pid:[4026531836]
    except OSError:
        return "0"
    return "".join(filter(str.isdigit, name))


def _remove_environments() -> None:
    """Remove the empty folders of Python backends whose server has gone."""
    oldest = min((_began(pid) for pid in _servers()), default=float("inf"))
    for path in _ENVIRONMENTS.glob("python_env_??????"):
        with suppress(OSError):  # another sweep was faster, or it is not empty
            status = path.lstat()
            if status.st_uid == os.getuid() and status.st_ctime < oldest:
                path.rmdir()


def _servers() -> Iterator[int]:
    """Find the live servers, whoever started them."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if path.read_text(encoding="utf-8").strip() == "tritonserver":
                yield int(path.parent.name)


def _began(pid: int) -> float:
    """Return when a process started, in seconds since the epoch; 0 where it has gone meanwhile."""
    ticks = _started(pid)
    if ticks is None:
        return 0.0
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + int(ticks) / os.sysconf("SC_CLK_TCK") - 1  # a tick and a rounding apart


def _started(pid: int) -> str | None:
    """Return when a process started, in clock ticks since boot (`proc_pid_stat(5)`, field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else fields[18]
