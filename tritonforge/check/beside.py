"""What lies beside a model and is told of it: files of labels, and whether proven files stand."""

from pathlib import Path, PurePosixPath
from typing import Any

from tritonforge import presence
from tritonforge.manifest import Manifest
from tritonforge.rules import Labels
from tritonforge.stamp import Stamp, sha256

_LARGEST_HASHED = 4 << 30  # bytes: of a larger file that was touched the length has to do
_LARGEST_COUNTED = 64 << 20
_OF_OLD = -1  # a length that older manifests did not write


def labels(folder: Path, message: Any) -> dict[str, Labels]:
    """Look at the file of labels of each output, by the output's name."""
    named = ((each.name, each.label_filename) for each in message.output)
    return {name: _labels(folder, file) for name, file in named if file}


def _labels(folder: Path, file: str) -> Labels:
    """Describe a file of labels as the server finds it: below the model's folder, a `/` or not."""
    path = folder / file.lstrip("/")
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
        if not path.is_file():
            return Labels(file=file, lines=None, is_folder=path.is_dir(), is_outside=not inside)
        if inside and presence.is_pointer(path):
            return Labels(file=file, lines=None, is_there=True, is_pointer=True)
        lines, returns = None, 0
        if inside and path.stat().st_size <= _LARGEST_COUNTED:
            data = path.read_bytes()
            lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
            returns = data.count(b"\r\n")
        return Labels(file=file, lines=lines, is_there=True, is_outside=not inside, returns=returns)
    except (OSError, ValueError):  # a loop of links, a name too long or with a NUL
        return Labels(file=file, lines=None)


def altered(version: Path, known: Manifest) -> tuple[str, ...]:
    """Name the files of a version that are not those which its manifest stamps."""
    return tuple(name for name, stamp in known.files.items() if not _stands(version, name, stamp))


def _stands(version: Path, name: str, stamp: Stamp) -> bool:
    """Say whether a file is the stamped one; one that the manifest has no business with is not."""
    pure, path = PurePosixPath(name), version / name
    if pure.is_absolute() or ".." in pure.parts or not path.is_file():
        return False
    status = path.stat()
    if stamp.size == _OF_OLD:
        return status.st_size > _LARGEST_HASHED or sha256(path) == stamp.sha256
    if status.st_size != stamp.size:
        return False
    unread = status.st_mtime_ns == stamp.changed or status.st_size > _LARGEST_HASHED
    return unread or sha256(path) == stamp.sha256
