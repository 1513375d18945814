"""How much memory there is left: the machine's, within what its control groups allow."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")
_FIELD = re.compile(r"^(\w+):?\s+(\d+)(?: kB)?$", re.MULTILINE)
# By version of control groups: the limit, what is used, and what of that is given back unasked.
_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available(proc: Path = _PROC, groups: Path = _GROUPS) -> int | None:
    """Return how many bytes can still be taken without swapping; None where nobody says.

    That is the least of what `/proc/meminfo` and every control group above this process leave.
    """
    machine = _fields(proc / "meminfo").get("MemAvailable")
    left = [] if machine is None else [machine * 1024]
    for folder, names in _above(proc, groups):
        if (room := _room(folder, *names)) is not None:
            left.append(room)
    return min(left, default=None)


def held(pid: int, proc: Path = _PROC) -> int:
    """Return how many bytes a process holds that no other can have; 0 where it has gone."""
    return _fields(proc / str(pid) / "status").get("RssAnon", 0) * 1024


def _above(proc: Path, groups: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Yield the folders of this process's control groups, outward (`cgroups(7)`).

    In a container the path may be the host's, where its root is the container's own group.
    """
    with suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text("utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                root, names = groups, _V2
            elif "memory" in controllers.split(","):
                root, names = groups / "memory", _V1
            else:
                continue
            inner = Path(path.lstrip("/"))
            for part in (inner, *inner.parents) if inner.parts else (inner,):
                yield root / part, names


def _room(folder: Path, limit: str, used: str, spare: str) -> int | None:
    """Return what a control group leaves, None where it has no limit."""
    with suppress(OSError, ValueError):
        most = int((folder / limit).read_text("utf-8"))  # v2 writes `max` for none
        taken = int((folder / used).read_text("utf-8"))
        return max(most - taken + _fields(folder / "memory.stat").get(spare, 0), 0)
    return None


def _fields(path: Path) -> dict[str, int]:
    """Read a file of names and numbers; none where it is not there."""
    with suppress(OSError):
        found = _FIELD.findall(path.read_text("utf-8", errors="replace"))
        return {name: int(number) for name, number in found}
    return {}
