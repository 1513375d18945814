"""Programs on the user's PATH: a Triton server with backends of its own, a perf_analyzer.

Each is judged by whether it really runs: a script of that name may only wrap a binary that does
not load here, and end well all the same.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tritonforge import process, release
from tritonforge.errors import ForgeError
from tritonforge.toolchain import home, machine

_SECONDS = 30.0
_BACKEND = Path("onnxruntime") / "libtriton_onnxruntime.so"
_VERSION = "TRITON_VERSION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A Triton server that was installed by others, as in NVIDIA's container, and its versions.

    `release` and `onnxruntime` are None where no release of that Triton is known.
    """

    tritonserver: Path
    root: Path
    triton: str
    release: str | None
    onnxruntime: str | None

    @property
    def backends(self) -> Path:
        """Return what `--backend-directory` names."""
        return self.root / "backends"

    @property
    def cache_directory(self) -> Path:
        """Return what `--cache-directory` names."""
        return self.root / "caches"

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the variables that it needs beside the user's own: none."""
        return {}

    @property
    def sees_gpu(self) -> bool:
        """Say whether there is a GPU for it to run models on."""
        return machine.no_gpu() is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyzer:
    """A `perf_analyzer`: its version, and the variables that it needs beside the user's own."""

    program: Path
    version: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A program on PATH that is not used, and why not."""

    program: Path
    reason: str


def tritonserver(onnxruntime: str | None = None) -> Installation | Refused | None:
    """Return the server on PATH, or why it is not used; None where there is none.

    With `onnxruntime` it has to carry that version.
    """
    found = shutil.which("tritonserver")
    if found is None:
        return None
    program = Path(found)
    root = program.resolve().parent.parent  # <root>/bin/tritonserver
    reason = _unfit(program, root)
    if reason is not None:
        return Refused(program=program, reason=reason)
    triton = (root / _VERSION).read_text(encoding="utf-8").strip()
    of = release.of_triton(triton)
    installation = Installation(
        tritonserver=program,
        root=root,
        triton=triton,
        release=None if of is None else of.tag,
        onnxruntime=None if of is None else of.onnxruntime,
    )
    if onnxruntime not in {None, installation.onnxruntime}:
        have = installation.onnxruntime or "not known"
        reason = f"its ONNX Runtime is {have}, wanted is {onnxruntime}"
        return Refused(program=program, reason=reason)
    return installation


def perf_analyzer(pinned: str) -> Analyzer | Refused | None:
    """Return the one on PATH where it is newer than `pinned`, or why it is not used."""
    found = shutil.which("perf_analyzer")
    if found is None:
        return None
    program = Path(found)
    if home.named():
        return Refused(program=program, reason=f"{home.VARIABLE} is set")
    said = _said(program, "--version")
    match = re.search(r"Version (\d+(?:\.\d+)+)", said)
    if match is None:
        return Refused(program=program, reason=f"it does not run: {_last(said)}")
    if machine.numbers(match[1]) <= machine.numbers(pinned):
        return Refused(program=program, reason=f"{match[1]} is not newer than the pinned {pinned}")
    return Analyzer(program=program, version=match[1], environment={})


def _unfit(program: Path, root: Path) -> str | None:
    """Say why a server is of no use, None where it is."""
    if home.named():
        return f"{home.VARIABLE} is set"
    for needed in (root / "backends" / _BACKEND, root / _VERSION):
        if not needed.is_file():
            return f"there is no {needed}"
    said = _said(program, "--help")  # which it ends with an error
    return None if "--model-repository" in said else f"it does not run: {_last(said)}"


def _said(program: Path, option: str) -> str:
    """Return what a program prints, or why it cannot be run."""
    try:
        return process.run([str(program), option], timeout=_SECONDS, quiet=True).output
    except ForgeError as error:
        return error.message


def _last(said: str) -> str:
    """Return the last line that says something."""
    return next((line for line in reversed(said.splitlines()) if line.strip()), "it says nothing")
