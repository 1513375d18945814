"""How much memory a build is expected to need, before anything of it is loaded."""

import glob
from contextlib import suppress
from pathlib import Path

from tritonforge import memory, sources
from tritonforge.errors import ForgeError
from tritonforge.jobs.job import Job

_MIB = 1 << 20
# Peak resident memory of builds was 795 MiB for an MLP of 7 kB, 1476 for resnet50 (102 MB) and 2837
# for vit_b_16 (347 MB): torch, onnx and ONNX Runtime, and six to seven times the weights.
_LIBRARIES = 800 * _MIB
_COPIES = 7
_UNKNOWN = 100 * _MIB  # weights of a model that nobody has built here


def of(job: Job) -> int:
    """Return how many bytes a build is expected to hold at its peak.

    By what was built before, by the files that it is made from, or by a usual model where neither
    tells.
    """
    known = max(_standing(job), sum(map(_size, _files(job))), _folder(job))
    return _LIBRARIES + _COPIES * (known or _UNKNOWN)


def leave_room(need: int, own: int, running: dict[int, int]) -> bool:
    """Say whether a build that needs so much may start, in a process that holds `own` bytes of it.

    `running` says by process what each of the others is expected to need, most of which it may not
    have taken yet. Where nothing runs one always may.
    """
    free = memory.available() if running else None
    if free is None:
        return True
    promised = sum(max(most - memory.held(pid), 0) for pid, most in running.items())
    return free - promised >= need - own


def _standing(job: Job) -> int:
    """Return the size of the newest version of the model, 0 where there is none."""
    with suppress(ForgeError, OSError):
        name = sources.model_name(job.spec)
        return _below(job.repository.entry(name).version_dir)
    return 0


def _files(job: Job) -> tuple[Path, ...]:
    """Return the files that hold the weights, as far as their names tell; none is read."""
    files: list[Path] = []
    with suppress(ForgeError, OSError):
        weights = Path(job.spec.weights)
        if job.spec.weights not in {"default", "random"}:
            files.append(weights)
        path = sources.file(job.spec.source)
        if path is not None:  # and what lies beside it: model.onnx.data, model.onnx_data
            files += path.parent.glob(f"{glob.escape(path.name)}*")
    return tuple(files)


def _folder(job: Job) -> int:
    """Return the size of a folder of Hugging Face's, 0 of any other source."""
    kind, _, rest = job.spec.source.partition(":")
    name = rest.partition("#")[0]
    return _below(Path(name)) if kind == "hf" and name else 0


def _below(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(map(_size, folder.rglob("*"))) if folder.is_dir() else 0


def _size(path: Path) -> int:
    """Return the size of a file, 0 where it is none."""
    with suppress(OSError):
        return path.stat().st_size if path.is_file() else 0
    return 0
