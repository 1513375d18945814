"""A repository as Triton reads it, which is not always as a person does.

Source: triton-inference-server/core, `model_config_utils.cc` (GetModelVersionFromPath),
`model_lifecycle.cc` (VersionsToLoad) and `filesystem/implementations/local.h`; each case tried on
Triton 2.51.
"""

import errno
import os
import re
from pathlib import Path

MOST_VERSION = 2**63 - 1
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")  # what C++'s `std::stoll` reads
MOST_NAMES = 10_000
_NOTHING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}  # as of links that lead nowhere


def version_of(name: str) -> int | None:
    """Return the version that Triton takes a folder for, None where it passes over it.

    It reads the number that a name begins with, whatever follows: `3.partial` is 3. A number too
    large for 64 bits ends the server, and is returned as it is.
    """
    if len(name) > 1 and name.startswith("0"):
        return None
    match = _NUMBER.match(name)
    return int(match[1]) if match else None


def folder_of(version: int) -> str:
    """Return the folder in which a backend looks for a version."""
    return str(version % 2**64)


def names(folder: Path, most: int = MOST_NAMES) -> tuple[str, ...]:
    """Name what is in a folder, sorted, folders with a slash behind; nothing where it is none.

    Links are followed. A folder with more than so many names is read so far. Raises `OSError` for
    one that may not be read.
    """
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry, _ in zip(entries, range(most), strict=False):
                found.append(f"{entry.name}{'/' * _is_folder(entry)}")
    except OSError as error:
        if error.errno in _NOTHING:
            return ()
        raise
    return tuple(sorted(found))


def broken(folder: Path) -> tuple[str, ...]:
    """Name the links in a folder that lead nowhere, sorted; raises as `names`."""
    try:
        with os.scandir(folder) as entries:
            links = [each.name for each in entries if each.is_symlink()]
    except OSError as error:
        if error.errno in _NOTHING:
            return ()
        raise
    return tuple(sorted(name for name in links if is_missing(folder / name)))


def is_missing(path: Path) -> bool:
    """Say whether nothing is at a path, as behind a lost link; what may not be seen is there."""
    try:
        path.stat()  # `exists` does not tell what may not be looked at, from Python 3.14 on
    except PermissionError:
        return False
    except (OSError, ValueError):  # it is too long, or has a NUL
        return True
    return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False
