"""Where the real `tritonserver` and `perf_analyzer` are, and how they get there.

Public wheels carry both (see `data/toolchain`). They go into an environment of their own in the
user's cache, since they hold numpy below 2: one environment per set of pins, made once, under a
lock, staged beside its place and renamed there only when every program has run. An environment
that has been damaged since is made anew. To use one nothing is written, so that it may be shared
and read-only. Where a GPU is to be seen it holds the ONNX Runtime with the CUDA provider, if there
are wheels of that version.

A server and a `perf_analyzer` on PATH are used where they are the better ones: the server with
its own backends where it carries the ONNX Runtime that is wanted, the other where it is newer.
`TRITONFORGE_TOOLCHAIN` names another folder of environments, and refuses what is on PATH.
"""

from pathlib import Path

from tritonforge.errors import ToolchainError
from tritonforge.progress import Progress, silent
from tritonforge.release import Release
from tritonforge.toolchain import environment, home, layout, machine, onpath, pins
from tritonforge.toolchain.layout import Toolchain
from tritonforge.toolchain.onpath import Analyzer, Installation

__all__ = [
    "Analyzer",
    "Installation",
    "Toolchain",
    "analyzer",
    "find",
    "install",
    "installed",
    "lacking",
    "own",
    "perf_analyzer",
    "remove",
]


def find(target: Release | None = None, *, progress: Progress = silent) -> Toolchain | Installation:
    """Return the server for a target's ONNX Runtime: the one on PATH, or our own.

    Our own is installed on first need. Without `target` any on PATH will do, else the embedded
    release's own. Raises `ToolchainError` where it cannot be had on this machine.
    """
    found = onpath.tritonserver(None if target is None else target.onnxruntime)
    return found if isinstance(found, Installation) else own(target, progress=progress)


def own(
    target: Release | None = None,
    *,
    find_links: Path | None = None,
    progress: Progress = silent,
) -> Toolchain:
    """Return the environment with a target's ONNX Runtime, installed on first need."""
    if find_links is not None and not find_links.is_dir():
        raise ToolchainError(
            f"--find-links {find_links} is not a folder",
            hint="name the folder that holds the wheels",
        )
    return installed(target) or install(target, find_links=find_links, progress=progress)


def installed(target: Release | None = None) -> Toolchain | None:
    """Return the environment with a target's ONNX Runtime, None where it is not there whole."""
    runtime = None if target is None else target.onnxruntime
    read = (layout.read(home.folder() / each.name, each) for each in pins.choices(runtime))
    return next((found for found in read if isinstance(found, Toolchain)), None)


def perf_analyzer(*, progress: Progress = silent) -> Analyzer:
    """Return the load generator: the one on PATH where it is newer, else that of an environment."""
    found = onpath.perf_analyzer(pins.perf_analyzer()[1])
    if isinstance(found, Analyzer):
        return found
    return analyzer() or _analyzer_of(install(progress=progress))


def analyzer() -> Analyzer | None:
    """Return the installed load generator, which is the same whatever the ONNX Runtime."""
    for wheels in pins.every():
        found = layout.read(home.folder() / wheels.name, wheels)
        if isinstance(found, Toolchain):
            return _analyzer_of(found)
    return None


def _analyzer_of(holder: Toolchain) -> Analyzer:
    """Return an environment's own; of the variables it needs only where its libraries lie."""
    libraries = {"LD_LIBRARY_PATH": holder.environment["LD_LIBRARY_PATH"]}
    return Analyzer(program=holder.perf_analyzer, version=holder.analyzer, environment=libraries)


def install(
    target: Release | None = None,
    *,
    find_links: Path | None = None,
    progress: Progress = silent,
) -> Toolchain:
    """Make the environment where it is not there whole; of two at once the second waits.

    With `find_links` its wheels come from that folder alone. Raises `ToolchainError` with pip's own
    last words where they cannot be had, and where no wheel of the target's ONNX Runtime exists for
    a Python of this machine.
    """
    machine.check()
    what, wheels = _wanted(target)
    with home.locked(progress):
        found = installed(target)  # another process may have made it while this one waited
        if found is not None:
            return found
        home.sweep()
        interpreter = machine.interpreter(tuple(each.python for each in wheels), what)
        chosen = next(each for each in wheels if each.python == interpreter.minor)
        place, staged = home.folder() / chosen.name, home.staged()
        try:
            environment.make(staged, chosen, interpreter, find_links=find_links, progress=progress)
            if place.exists():  # `installed` found it broken
                home.delete(place.rename(home.staged()), ignore_errors=True)
            staged.rename(place)
        except BaseException:
            home.delete(staged, ignore_errors=True)
            raise
        progress(f"installed the embedded server in {place}", 1.0)
        return layout.describe(place, chosen, interpreter)


def _wanted(target: Release | None) -> tuple[str, tuple[pins.Wheels, ...]]:
    """Name what is to be installed, and what it can be made of; raises `ToolchainError`."""
    if target is None:
        return "the embedded server", pins.choices()
    missing = lacking(target)
    if missing is not None:
        raise ToolchainError(
            missing,
            hint=f"choose the ONNX Runtime of another release with --target, {machine.DOCKER}",
        )
    what = f"ONNX Runtime {target.onnxruntime} of release {target.tag}"
    return what, pins.choices(target.onnxruntime)


def lacking(target: Release | None) -> str | None:
    """Say why there can be no server with a target's ONNX Runtime, None where there can."""
    if target is None or pins.choices(target.onnxruntime):
        return None
    return (
        f"ONNX Runtime {target.onnxruntime} of release {target.tag} has no public wheel for a"
        " Python that the embedded server has a stub for"
    )


def remove(*, progress: Progress = silent) -> Path | None:
    """Delete every installed toolchain; return where they lay, None where there was nothing."""
    if not (home.environments() or home.halves()):
        return None
    with home.locked(progress):
        for place in home.environments():
            progress(f"removing {place}")
            home.delete(place)
        home.sweep()
    return home.folder()
