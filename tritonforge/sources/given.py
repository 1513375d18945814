"""A file of the user's that is a source as it stands."""

from pathlib import Path

from tritonforge import presence
from tritonforge.errors import SourceError


def file(text: str) -> Path:
    """Return the path of a file that is there; raises `SourceError` and says what is instead."""
    path = Path(text)
    fault = presence.no_file(path, path.suffix)
    if fault is not None:
        raise SourceError(fault[0], hint=fault[1])
    return path
