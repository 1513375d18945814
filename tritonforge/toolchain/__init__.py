"""Where the real `tritonserver` and `perf_analyzer` are, and how they get there.

Public wheels carry both (see `data/toolchain`). They go into an environment of their own in the
user's cache, since they hold numpy below 2: one environment per set of pins, made once, under a
lock, staged beside its place and renamed there only when every program has run.
"""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from tritonforge import release
from tritonforge.errors import ToolchainError
from tritonforge.progress import Progress, silent
from tritonforge.toolchain import environment, layout, machine, pins
from tritonforge.toolchain.layout import Toolchain

__all__ = ["Toolchain", "find", "install", "installed", "remove"]

_WAIT_SECONDS = 1800.0  # for another process that installs, over a slow line


def find(*, progress: Progress = silent) -> Toolchain:
    """Return the installed toolchain, installing it on first need.

    Raises `ToolchainError` where it cannot be had on this machine.
    """
    return installed() or install(progress=progress)


def installed() -> Toolchain | None:
    """Return the toolchain that this version of tritonforge uses, None where it is not there."""
    found = (layout.read(_place(minor), minor) for minor in pins.minors())
    return next((toolchain for toolchain in found if toolchain is not None), None)


def install(*, progress: Progress = silent) -> Toolchain:
    """Make the environment where it is not there; of two at once the second waits.

    Raises `ToolchainError` with pip's own last words where the wheels cannot be had.
    """
    machine.check()
    with _locked(progress):
        found = installed()  # another process may have made it while this one waited
        if found is not None:
            return found
        for leftover in _home().glob(".*.partial"):  # whoever made it was killed
            shutil.rmtree(leftover, ignore_errors=True)
        interpreter = machine.interpreter(pins.minors())
        place = _place(interpreter.minor)
        staged = _home() / f".{uuid.uuid4().hex}.partial"
        try:
            environment.make(staged, interpreter, progress=progress)
            if place.exists():  # `installed` found it broken
                place.rename(_home() / f".{uuid.uuid4().hex}.partial")
            staged.rename(place)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        progress(f"installed the embedded server in {place}", 1.0)
        return layout.describe(place, interpreter.minor, interpreter.program, interpreter.library)


def remove(*, progress: Progress = silent) -> Path | None:
    """Delete every installed toolchain; return where they lay, None where there was nothing."""
    if not _home().is_dir():
        return None
    with _locked(progress):
        places = [place for place in _home().iterdir() if place.is_dir()]
        for place in places:
            progress(f"removing {place}")
            shutil.rmtree(place)
    return _home() if places else None


def _home() -> Path:
    """Return the folder of all toolchains, read anew because a test may move the cache."""
    return user_cache_path("tritonforge") / "toolchain"


def _place(minor: str) -> Path:
    """Return where the environment for a Python lies: other pins, other place."""
    return _home() / f"{release.EMBEDDED}-python{minor}-{pins.fingerprint(minor)}"


@contextmanager
def _locked(progress: Progress) -> Iterator[None]:
    """Hold the lock of the toolchains' folder; a killed holder leaves none behind."""
    try:
        _home().mkdir(parents=True, exist_ok=True)
        lock = FileLock(_home() / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress("waiting for another tritonforge that installs the embedded server")
            lock.acquire(timeout=_WAIT_SECONDS, poll_interval=0.2)
    except Timeout as error:
        raise ToolchainError(f"another process still holds {_home() / '.lock'}") from error
    except OSError as error:
        raise ToolchainError(
            f"cannot write to {_home()}: {error.strerror}", hint="set XDG_CACHE_HOME"
        ) from error
    try:
        yield
    finally:
        lock.release()
