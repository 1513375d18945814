"""Where the environments lie: in the user's cache, or where `TRITONFORGE_TOOLCHAIN` says."""

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from tritonforge.errors import ToolchainError
from tritonforge.progress import Progress
from tritonforge.toolchain import layout

VARIABLE = "TRITONFORGE_TOOLCHAIN"

_WAIT_SECONDS = 7200.0  # for another process that installs, over a slow line
_ENVIRONMENT = re.compile(r"\d\d\.\d\d-(onnxruntime[\d.]+-)?(gpu-)?python3\.\d+-[0-9a-f]{12}")
_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial")


def named() -> str | None:
    """Return what the variable says; None where it is not set."""
    return os.environ.get(VARIABLE) or None


def folder() -> Path:
    """Return the folder of all environments, read anew because a test may move it.

    Raises `ToolchainError` where the variable names one environment of them.
    """
    text = named()
    if text is None:
        return user_cache_path("tritonforge") / "toolchain"
    path = Path(text).expanduser().absolute()
    if (path / layout.FACTS).is_file():
        raise ToolchainError(
            f"{VARIABLE} names an environment, not the folder of environments",
            hint=f"set it to {path.parent}",
        )
    return path


def environments() -> tuple[Path, ...]:
    """Return what lies there of ours; anything else in the folder is somebody's own."""
    return _named_like(_ENVIRONMENT)


def halves() -> tuple[Path, ...]:
    """Return what is being made, and what killed processes left half made."""
    return _named_like(_PARTIAL)


def _named_like(pattern: re.Pattern[str]) -> tuple[Path, ...]:
    try:
        found = [path for path in folder().iterdir() if pattern.fullmatch(path.name)]
    except OSError:
        return ()
    return tuple(sorted(path for path in found if path.is_dir()))


def staged() -> Path:
    """Return a new name for an environment that is not whole yet."""
    return folder() / f".{uuid.uuid4().hex}.partial"


def sweep() -> None:
    """Delete what killed processes left half made; hold the lock."""
    for path in halves():
        delete(path, ignore_errors=True)


def delete(path: Path, *, ignore_errors: bool = False) -> None:
    """Delete an environment; of one that is a link only the link."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=ignore_errors)


@contextmanager
def locked(progress: Progress) -> Iterator[None]:
    """Hold the lock of the folder, made where it is not there; a killed holder leaves none behind.

    Raises `ToolchainError` where nothing can be written there.
    """
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress("waiting for another tritonforge that installs the embedded server")
            lock.acquire(timeout=_WAIT_SECONDS, poll_interval=0.2)
    except Timeout as error:
        raise ToolchainError(f"another process still holds {place / '.lock'}") from error
    except OSError as error:
        hint = f"set {VARIABLE} to a folder that can be written to, or to one that holds it whole"
        raise ToolchainError(f"cannot write to {place}: {error.strerror}", hint=hint) from error
    try:
        yield
    finally:
        lock.release()
