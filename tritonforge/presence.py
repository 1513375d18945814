"""Whether a path leads to a file, and what is there where it does not."""

import re
from difflib import get_close_matches
from pathlib import Path

POINTER = b"version https://git-lfs.github.com/spec/v1"
# What a download brings in place of a file, of an error mostly.
PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml)\b", re.IGNORECASE)
_LARGEST_POINTER = 1024  # bytes, which Git LFS writes fewer than
_NAMED = 5  # files of a folder


def is_pointer(path: Path) -> bool:
    """Say whether a file is what Git LFS puts in the place of one that it has not fetched.

    Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
    """
    try:
        if not path.is_file() or path.stat().st_size >= _LARGEST_POINTER:
            return False
        with path.open("rb") as file:
            return file.read(len(POINTER)) == POINTER
    except (OSError, ValueError):  # it may not be read, or has a NUL in its name
        return False


def no_file(path: Path, suffix: str = ".onnx") -> tuple[str, str] | None:
    """Say why a path is no file that can be read, and what helps; None where it is one.

    What lies there instead is named where it has the `suffix`.
    """
    if path.is_dir():
        inside = ", ".join(sorted(each.name for each in path.glob(f"*{suffix}"))[:_NAMED])
        return (
            f"{path} is a folder",
            f"it holds {inside}" if inside else f"name a file that ends in {suffix}",
        )
    if path.is_file():
        return None
    if path.is_symlink():
        leads = f"{path} is a link that leads to no file: {path.readlink()}"
        return leads, "mend the link, or name the file itself"
    if path.exists():
        return f"{path} is no regular file", "copy what it gives into one, and name that"
    return f"no file {path}", _near(path, suffix)


def _near(path: Path, suffix: str) -> str:
    """Name the file beside it that is written most like this."""
    beside = [each.name for each in path.parent.glob(f"*{suffix}") if each.is_file()]
    near = get_close_matches(path.name, beside, n=1)
    return f"did you mean {str(path.parent / near[0])!r}?" if near else "check the path"
