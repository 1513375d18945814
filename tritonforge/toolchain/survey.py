"""What is used, what was passed over, what lies there, and why: for `toolchain show`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tritonforge import release, toolchain
from tritonforge.release import Release
from tritonforge.toolchain import home, layout, machine, onpath, pins
from tritonforge.toolchain.layout import Toolchain
from tritonforge.toolchain.onpath import Analyzer, Installation, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment in the folder; `fault` says why it is not used, None where it can be."""

    root: Path
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What would serve and what would measure, None where it would first be installed.

    `device` is GPU or CPU: where models run. `refused` holds programs on PATH that are not used.
    `lacking` says why no server of the target's can be installed, None where one can.
    """

    folder: Path
    folder_why: str
    server: Toolchain | Installation | None
    server_why: str
    runtime_why: str
    device: str
    device_why: str
    analyzer: Analyzer | None
    analyzer_why: str
    refused: tuple[Refused, ...]
    environments: tuple[Environment, ...]
    lacking: str | None = None


def survey(target: Release | None = None) -> Survey:
    """Look at everything and change nothing."""
    pinned = pins.perf_analyzer()[1]
    found = onpath.tritonserver(None if target is None else target.onnxruntime)
    server = found if isinstance(found, Installation) else toolchain.installed(target)
    analyzer = onpath.perf_analyzer(pinned)
    device, device_why = _device(server, target or release.find(release.EMBEDDED))
    return Survey(
        folder=home.folder(),
        folder_why=f"{home.VARIABLE} is set" if home.named() else "the user's cache",
        server=server,
        server_why="on PATH, with its own backends"
        if isinstance(server, Installation)
        else "pinned wheel",
        runtime_why=_runtime(server, target or release.find(release.EMBEDDED)),
        device=device,
        device_why=device_why,
        analyzer=analyzer if isinstance(analyzer, Analyzer) else toolchain.analyzer(),
        analyzer_why=f"on PATH, newer than the pinned {pinned}"
        if isinstance(analyzer, Analyzer)
        else f"pinned wheel, the newest for glibc {'.'.join(map(str, machine.glibc()))}",
        refused=tuple(each for each in (found, analyzer) if isinstance(each, Refused)),
        environments=tuple(_environments()),
        lacking=None if server is not None else toolchain.lacking(target),
    )


def _runtime(server: Toolchain | Installation | None, target: Release) -> str:
    """Say why a server runs the ONNX Runtime that it runs."""
    if isinstance(server, Installation):
        return "the server's own"
    if server is None or server.onnxruntime == target.onnxruntime:
        return f"pinned wheel, that of release {target.tag}"
    return (
        f"pinned wheel, for {target.onnxruntime} of release {target.tag}, which has none for"
        f" Python {server.python}"
    )


def _device(server: Toolchain | Installation | None, target: Release) -> tuple[str, str]:
    """Say where models run, and why there."""
    hidden = machine.no_gpu()
    if hidden is not None:
        return "CPU", f"{hidden}; a config for a GPU is rehearsed"
    if isinstance(server, Installation) or pins.has_gpu(target.onnxruntime):
        return "GPU", "an NVIDIA driver shows one"
    said = f"no onnxruntime-gpu {target.onnxruntime} is pinned; a config for a GPU is rehearsed"
    return "CPU", said


def _environments() -> Iterator[Environment]:
    """Hold each environment in the folder against its pins."""
    known = {wheels.name: wheels for wheels in pins.every()}
    for root in home.environments():
        wheels = known.get(root.name)
        found = "made from other pins" if wheels is None else layout.read(root, wheels)
        yield Environment(root=root, fault=found if isinstance(found, str) else None)
