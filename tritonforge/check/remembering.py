"""What was worked out once, kept in the user's cache: a file for each, by the hash of its content.

An entry is plain JSON of known types under a checksum, so that one which is cut short, changed or
foreign is passed over and written anew. Writers do not wait for each other: the last rename stands.
Where nothing can be read or written, everything is worked out again, which is all that differs.
"""

import hashlib
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from platformdirs import user_cache_path

from tritonforge import plain

VARIABLE = "TRITONFORGE_CHECK_CACHE"
NONE = "none"
_LARGEST = 1 << 14  # bytes of an entry
_MOST = 100  # entries of each of 256 folders

T = TypeVar("T")


def folder() -> Path | None:
    """Return where entries lie: in the user's cache, or as the variable says; None for nowhere."""
    said = os.environ.get(VARIABLE)
    if said == NONE:
        return None
    return Path(said) if said else user_cache_path("tritonforge") / "check"


class Shelf(Generic[T]):
    """Entries of one kind of dataclass in a folder; None keeps nothing."""

    def __init__(self, root: Path | None, kind: type[T]) -> None:
        self._root, self._kind = root, kind
        self._full: set[Path] = set()

    def get(self, key: str) -> T | None:
        """Return what is kept under a hash, None where there is nothing sound."""
        if self._root is None:
            return None
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            held = (self._root / key[:2] / key[2:]).read_bytes()
            sum_of, _, text = held.partition(b"\n")
            if sum_of == _sum(key, text):
                return plain.from_json(self._kind, text)
        return None

    def put(self, key: str, value: T) -> None:
        """Keep something under a hash, in one step; not what is too large."""
        if self._root is None:
            return
        text = plain.as_json(value)
        if len(text) > _LARGEST:
            return
        shelf = self._root / key[:2]
        new = shelf / f".{uuid.uuid4().hex}"
        with suppress(OSError):  # a full or a read-only disk keeps nothing
            try:
                if shelf not in self._full:
                    shelf.mkdir(parents=True, exist_ok=True)
                    self._full.add(shelf)
                new.write_bytes(_sum(key, text) + b"\n" + text)
                new.replace(shelf / key[2:])
            finally:
                new.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the oldest of the folders that were written to, where they are too many."""
        for shelf in self._full:
            with suppress(OSError):  # another process sweeps, too
                entries = sorted(os.scandir(shelf), key=lambda each: each.stat().st_mtime_ns)
                for each in entries[: max(0, len(entries) - _MOST)]:
                    Path(each).unlink(missing_ok=True)


def _sum(key: str, text: bytes) -> bytes:
    return hashlib.sha256(key.encode() + text).hexdigest().encode()
