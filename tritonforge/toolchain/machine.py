"""What this machine is to the embedded server: its C library, GPUs and Python interpreters.

The server's wheels want Linux x86_64 with glibc 2.35; the program that runs a Python backend is
linked against `libpython3.X.so.1.0`, so an interpreter without a shared library is of no use. The
server's wheel brings one for 3.13, which does for an interpreter that keeps `math` and its like in
files; one that has them built in (Debian's, uv's) has no files of them for that library to load.
"""

import json
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tritonforge import process
from tritonforge.errors import ForgeError, ToolchainError

DOCKER = "or serve the model repository with docker, see docker/README.md"
BUNDLED = {"3.13"}  # `nvidia_pytriton.libs/libpython3-….13.so.1.0`
GLIBC = (2, 35)  # the platform tag of the nvidia-pytriton 0.7.0 wheel
GPUS = Path("/proc/driver/nvidia/gpus")  # where the driver has a folder for each

_PROBE = """
import ensurepip, json, sys, sysconfig, venv
get = sysconfig.get_config_var
places = [get("LIBDIR") or "", sys.base_prefix + "/lib", "/usr/lib", "/usr/lib64", "/usr/local/lib"]
multiarch = get("MULTIARCH") or "x86_64-linux-gnu"
print(json.dumps({
    "cpython": sys.implementation.name == "cpython" and sys.maxsize > 2**32,
    "minor": "%d.%d" % sys.version_info[:2],
    "files": "math" not in sys.builtin_module_names,
    "places": [p for place in places if place for p in (place, place + "/" + multiarch)],
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A CPython that can make environments: its program, minor version and shared library.

    `library` is None where that of the server's wheel has to do.
    """

    program: Path
    minor: str
    library: Path | None


def check(
    *,
    system: str | None = None,
    architecture: str | None = None,
    libc: str | None = None,
) -> None:
    """Raise `ToolchainError` where the server's binaries cannot run; None asks this machine."""
    system = platform.system() if system is None else system
    architecture = platform.machine() if architecture is None else architecture
    libc = _libc() if libc is None else libc
    if system != "Linux" or architecture not in {"x86_64", "AMD64"}:
        raise ToolchainError(
            f"the embedded server runs on Linux x86_64 only; this is {system} {architecture}",
            hint=f"use such a machine, {DOCKER}",
        )
    if glibc(libc) < GLIBC:
        raise ToolchainError(
            f"the embedded server needs glibc 2.35 or newer; this system has {libc or 'another'}",
            hint=f"use Ubuntu 22.04, Debian 12 or newer, {DOCKER}",
        )


def glibc(libc: str | None = None) -> tuple[int, ...]:
    """Return the version of the GNU C library, empty where it is another; None asks this machine.

    `libc` is what `confstr` says, such as `glibc 2.36`.
    """
    name, _, version = (_libc() if libc is None else libc).partition(" ")
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return parts if name == "glibc" else ()


def no_gpu() -> str | None:
    """Say why there is no GPU to run models on, None where there is one."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in {"", "-1"}:
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    if not GPUS.is_dir() or not any(GPUS.iterdir()):
        return "no NVIDIA driver shows a GPU"
    return None


def preferred(minors: tuple[str, ...]) -> tuple[str, ...]:
    """Sort Python versions: the newest first, but last those that numpy below 2 has no wheel for.

    Strings cannot pass the server's Python backend there (`backends/onnxruntime/ort_tensors.py`).
    """
    return tuple(sorted(minors, key=lambda minor: (minor in BUNDLED, -numbers(minor)[1])))


def interpreter(minors: tuple[str, ...], what: str = "the embedded server") -> Interpreter:
    """Return the first usable interpreter: this one, else `python3.X` from PATH, as `minors` order.

    This one comes first only where it is no last choice. Raises `ToolchainError` that says for
    `what` there is none, and what each one lacks.
    """
    named = [shutil.which(f"python{minor}") for minor in minors]
    this = "{}.{}".format(*sys.version_info)
    first = [] if this in BUNDLED else [sys.executable]
    complaints = []
    for program in dict.fromkeys([*first, *(name for name in named if name), sys.executable]):
        found = _probe(Path(program), minors)
        if isinstance(found, Interpreter):
            return found
        complaints.append(found)
    # the Python that is here may lack no more than its library
    near = this if this in minors else max(set(minors) - BUNDLED or minors, key=numbers)
    raise ToolchainError(
        f"no Python for {what}: {'; '.join(complaints)}",
        hint=f"install Python {' or '.join(minors)} with its shared library (Debian, Ubuntu: apt "
        f"install python{near}-venv libpython{near}; anywhere: uv python install {near}), "
        f"{DOCKER}",
    )


def _probe(program: Path, minors: tuple[str, ...]) -> Interpreter | str:
    """Ask an interpreter what it is; return what is wrong with it where it is of no use."""
    try:
        # -I: neither PYTHONPATH nor the current directory may speak for the interpreter
        answer = process.run([str(program), "-I", "-c", _PROBE], timeout=30, quiet=True)
    except ForgeError as error:
        return error.message
    if answer.returncode != 0:
        return f"{program} says {answer.tail!r}"
    facts = json.loads(answer.output.strip().splitlines()[-1])
    minor = str(facts["minor"])
    if not facts["cpython"] or minor not in minors:
        return f"{program} is Python {minor}, wanted is 64-bit CPython {', '.join(minors)}"
    name = f"libpython{minor}.so.1.0"
    for place in facts["places"]:
        if (library := Path(place, name)).is_file():
            return Interpreter(program=program, minor=minor, library=library)
    if minor in BUNDLED and facts["files"]:
        return Interpreter(program=program, minor=minor, library=None)
    return f"{program} has no {name}"


def _libc() -> str:
    """Name the C library, such as `glibc 2.36`; empty where it is not glibc."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        return ""


def numbers(version: str) -> tuple[int, ...]:
    """Turn `3.9` into numbers, so that 3.10 comes after it."""
    return tuple(int(part) for part in version.split("."))
