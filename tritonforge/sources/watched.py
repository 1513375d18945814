"""Which files a user's code reads: what it imports and what it opens.

Python tells every file that it opens to its audit hooks (PEP 578); native code that opens files by
itself, such as safetensors, does not.
"""

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# What an installation brings is known by its version.
_INSTALLED = (
    *{sysconfig.get_path(each) for each in ("stdlib", "platstdlib", "purelib", "platlib")},
    *(sys.prefix, sys.base_prefix, str(Path(__file__).parents[1])),
    *("/usr/", "/lib", "/etc/", "/proc/", "/sys/", "/dev/"),
)
_watching: list[set[str]] = []
_hooked: list[bool] = []


@contextmanager
def opened() -> Iterator[set[Path]]:
    """Collect the files that are read meanwhile, and the user's modules that are loaded then.

    The set is filled at the end.
    """
    if not _hooked:
        sys.addaudithook(_hear)  # which cannot be taken off again
        _hooked.append(True)
    names: set[str] = set()
    found: set[Path] = set()
    _watching.append(names)
    try:
        yield found
    finally:
        _watching.remove(names)
        names.update(filter(None, (getattr(m, "__file__", None) for m in [*sys.modules.values()])))
        found.update(path for path in map(_source, names) if _is_the_users(path))


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Note a file that is opened for reading."""
    if event != "open" or not _watching:
        return
    path, mode, flags = arguments
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
    if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
        return
    if isinstance(path, str | bytes | os.PathLike):
        for names in _watching:
            names.add(os.fsdecode(path))


def _source(name: str) -> Path:
    """Return the file that a person edits: a module's source, not what Python made of it."""
    path = Path(name).absolute()
    if path.suffix == ".pyc":
        with suppress(ValueError):  # not in a cache of Python's
            return Path(importlib.util.source_from_cache(path))
    return path


def _is_the_users(path: Path) -> bool:
    """Say whether a file is no part of what is installed."""
    with suppress(OSError):
        return not str(path).startswith(_INSTALLED) and path.is_file()
    return False
