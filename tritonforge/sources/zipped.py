"""Zip archives that every reader finds the same files in.

Python looks for the list of files right before the end of an archive, torch (by miniz) where the
end says that it lies: there may be one for each, and what was looked through is not loaded then.
"""

import os
import struct
import zipfile
from pathlib import Path

# Of the zip format (APPNOTE 4.3.14 to 4.3.16): the end, and what large archives have before it.
_RECORD, _LOCATOR, _END = (struct.Struct(each) for each in ("<4s36xQQ", "<4s4xQ4x", "<4s8xLLH"))
_TAIL = _RECORD.size + _LOCATOR.size + _END.size


def opened(path: Path) -> zipfile.ZipFile:
    """Open an archive; raises `BadZipFile` for what readers could take for two."""
    if not _is_of_one_mind(path):
        raise zipfile.BadZipFile("it is cut short, or its list of files is not where its end says")
    return zipfile.ZipFile(path)


def check_sums(archive: zipfile.ZipFile) -> None:
    """Raise `BadZipFile` for bytes that are not those that were written: torch does not look."""
    if (name := archive.testzip()) is not None:
        raise zipfile.BadZipFile(f"{name} is damaged: its bytes do not fit their sum")


def _is_of_one_mind(path: Path) -> bool:
    """Say whether the list of files ends where the end begins, and nothing comes after that."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _TAIL, 0))
        tail = file.read(_TAIL).rjust(_TAIL, b"\0")
    end, begins = tail[-_END.size :], size - _END.size
    magic, length, start, comment = _END.unpack(end)
    mark, place = _LOCATOR.unpack(tail[_RECORD.size : -_END.size])
    if mark == b"PK\x06\x07":
        begins = size - _TAIL
        kind, length, start = _RECORD.unpack(tail[: _RECORD.size])
        if kind != b"PK\x06\x06" or place != begins:
            return False
    return magic == b"PK\x05\x06" and not comment and bool(start + length == begins)
