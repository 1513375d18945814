"""By what a file is known again, without reading it each time."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """By what a file is known again: its sha256, its bytes, when it was changed (ns).

    Of a folder the sha256 is that of its names; it is empty of what was looked for and not there.
    """

    sha256: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Stamp a file."""
        status = path.stat()
        return cls(sha256=sha256(path), size=status.st_size, changed=status.st_mtime_ns)

    @classmethod
    def looked_at(cls, path: Path) -> "Stamp":
        """Stamp what code has looked at: a file, a folder's names, or that nothing is there."""
        if path.is_dir():
            return cls(sha256=_names(path), size=0, changed=path.stat().st_mtime_ns)
        return cls.of(path) if path.exists() else cls(sha256="", size=0, changed=0)

    def fits(self, path: Path) -> bool:
        """Say whether a file is the one that was stamped; read where its date differs."""
        try:
            status = path.stat()
            if path.is_dir():
                return status.st_mtime_ns == self.changed or _names(path) == self.sha256
        except OSError:
            return not self.sha256
        if status.st_size != self.size or not self.sha256:
            return False
        return status.st_mtime_ns == self.changed or sha256(path) == self.sha256


def _names(folder: Path) -> str:
    """Return the hash of what lies in a folder, without what Python makes there."""
    names = sorted(each.name for each in folder.iterdir() if each.name != "__pycache__")
    return hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()


def sha256(path: Path) -> str:
    """Return the hex sha256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
