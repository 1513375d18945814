"""What is installed beside us: which files belong to a library, and which libraries took part."""

import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path

_SITES = ("site-packages", "dist-packages")
_FACTS = re.compile(r".+\.(dist|egg)-info")
OURS = str(Path(__file__).parents[1]) + os.sep
_STANDARD = tuple({sysconfig.get_path(each) + os.sep for each in ("stdlib", "platstdlib")})
_SYSTEM = ("/proc/", "/sys/", "/dev/")


@lru_cache(maxsize=65536)
def is_the_users(path: str) -> bool:
    """Say whether a file is no part of Python, of tritonforge or of an installed library."""
    if path.startswith((OURS, *_SYSTEM)):
        return False
    name = _imported_by(path)
    if name is not None:
        return not (_FACTS.fullmatch(name) or name.split(".")[0] in _brought(_state()))
    return not path.startswith(_STANDARD) or any(f"/{site}/" in path for site in _SITES)


def is_in_a_library(path: str) -> bool:
    """Say whether a file lies where Python and libraries do; nothing is read to tell."""
    return path.startswith((OURS, *_STANDARD)) or any(f"/{site}/" in path for site in _SITES)


def _imported_by(path: str) -> str | None:
    """Return the first name of a file below a folder of libraries, None where it is in none."""
    for site in _SITES:
        folder, found, below = path.rpartition(f"/{site}/")
        if found and f"{folder}/{site}" in sys.path:
            return below.partition("/")[0]
    return None


def libraries(wanted: Iterable[str]) -> dict[str, str]:
    """Return the version of each library that is loaded; the empty one of a `wanted` that is not.

    A library is what pip installs: one that is not there may come to be, and take part.
    """
    known = _brought(_state())
    loaded = {name.partition(".")[0] for name in [*sys.modules]}
    found = {library for name in loaded & known.keys() for library in known[name]}
    missing = {name for name in wanted if version(name) == ""}
    return {name: version(name) for name in sorted(found | missing)}


def version(library: str) -> str:
    """Return the version of an installed library, empty where it is not installed."""
    return _version(library, _state())


@lru_cache(maxsize=4096)
def _version(library: str, _state: tuple[int, ...]) -> str:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(library)
    return ""


@lru_cache(maxsize=1)
def _brought(_state: tuple[int, ...]) -> Mapping[str, list[str]]:
    """Return the libraries that bring each importable name; it takes a second."""
    return metadata.packages_distributions()


def _state() -> tuple[int, ...]:
    """Return what changes where a library is installed or removed: the dates of the folders."""
    dates = []
    for folder in map(Path, sys.path):
        if folder.name in _SITES:
            with suppress(OSError):
                dates.append(folder.stat().st_mtime_ns)
    return tuple(dates)
