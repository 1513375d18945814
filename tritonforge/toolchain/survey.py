"""What is used, what was passed over, what lies there, and why: for `toolchain show`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tritonforge import toolchain
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

    `refused` holds programs on PATH that are not used.
    """

    folder: Path
    folder_why: str
    server: Toolchain | Installation | None
    server_why: str
    analyzer: Analyzer | None
    analyzer_why: str
    refused: tuple[Refused, ...]
    environments: tuple[Environment, ...]


def survey(target: Release | None = None) -> Survey:
    """Look at everything and change nothing."""
    pinned = pins.perf_analyzer()[1]
    server = onpath.tritonserver(None if target is None else target.onnxruntime)
    analyzer = onpath.perf_analyzer(pinned)
    return Survey(
        folder=home.folder(),
        folder_why=f"{home.VARIABLE} is set" if home.named() else "the user's cache",
        server=server if isinstance(server, Installation) else toolchain.installed(target),
        server_why="on PATH, with its own backends"
        if isinstance(server, Installation)
        else "pinned wheel",
        analyzer=analyzer if isinstance(analyzer, Analyzer) else toolchain.analyzer(),
        analyzer_why=f"on PATH, newer than the pinned {pinned}"
        if isinstance(analyzer, Analyzer)
        else f"pinned wheel, the newest for glibc {'.'.join(map(str, machine.glibc()))}",
        refused=tuple(each for each in (server, analyzer) if isinstance(each, Refused)),
        environments=tuple(_environments()),
    )


def _environments() -> Iterator[Environment]:
    """Hold each environment in the folder against its pins."""
    known = {wheels.name: wheels for runtime in pins.runtimes() for wheels in pins.choices(runtime)}
    for root in home.environments():
        wheels = known.get(root.name)
        found = "made from other pins" if wheels is None else layout.read(root, wheels)
        yield Environment(root=root, fault=found if isinstance(found, str) else None)
