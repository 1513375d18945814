"""What lies where in an environment that holds the server."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tritonforge.release import EMBEDDED
from tritonforge.release import find as release_of
from tritonforge.toolchain import machine
from tritonforge.toolchain.machine import Interpreter
from tritonforge.toolchain.pins import Wheels

# What `readelf -d libonnxruntime_providers_cuda.so` of 1.19.2 names beside the system's libraries.
CUDA_LIBRARIES = (
    *("libcudart.so.12", "libcublasLt.so.12", "libcublas.so.12"),
    *("libcurand.so.10", "libcufft.so.11", "libcudnn.so.9"),
)
FACTS = "toolchain.json"  # written last: where it lies the environment was whole once
_PROGRAMS = ("numpy", "numpy.libs", "nvidia_pytriton.libs", "onnxruntime", "pytriton/tritonserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """An environment that holds the server: its root, what it was made with and its versions.

    `python` is a minor version such as `3.11`, `libpython` the shared library of `interpreter`;
    None where the server's wheel brings it. `analyzer` is the version of `perf_analyzer`, `release`
    the one whose server this is, whatever the ONNX Runtime. `gpu` says that this has the CUDA
    provider.
    """

    root: Path
    python: str
    interpreter: Path
    libpython: Path | None
    onnxruntime: str
    gpu: bool
    analyzer: str
    triton: str | None = release_of(EMBEDDED).triton
    release: str = EMBEDDED

    @property
    def tritonserver(self) -> Path:
        """Return the server program."""
        return self.triton_directory / "bin" / "tritonserver"

    @property
    def perf_analyzer(self) -> Path:
        """Return the load generator."""
        return self.root / "bin" / "perf_analyzer"

    @property
    def python_backend(self) -> Path:
        """Return the `python` directory that a `--backend-directory` has to hold."""
        return self.triton_directory / "backends" / "python"

    @property
    def cache_directory(self) -> Path:
        """Return what `--cache-directory` names: where the local response cache lies."""
        return self.triton_directory / "caches"

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the variables in which the server and perf_analyzer run.

        The Python of the server's backends is the `python3` that is first on PATH. The user's own
        Python variables are blanked: a numpy from there would take the place of the pinned one.
        Without the CUDA provider GPUs are hidden; with it the CUDA libraries that it was built for
        come first, before the one that the server's wheel brings.
        """
        users = os.environ.get("LD_LIBRARY_PATH")
        own = [*self.cuda_directories, self.links, self.libraries_directory]
        libraries = [*map(str, own), *([users] if users else [])]
        return {
            "PATH": f"{self.root / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "LD_LIBRARY_PATH": ":".join(libraries),
            "PYTHONHOME": "",
            "PYTHONPATH": "",
            "PYTHONDONTWRITEBYTECODE": "1",
            **({} if self.gpu else {"CUDA_VISIBLE_DEVICES": ""}),
        }

    @property
    def sees_gpu(self) -> bool:
        """Say whether the server has kernels for a GPU, and a GPU to run them on."""
        return self.gpu and machine.no_gpu() is None

    @property
    def packages(self) -> Path:
        """Return the site-packages directory."""
        return self.root / "lib" / f"python{self.python}" / "site-packages"

    @property
    def triton_directory(self) -> Path:
        """Return the folder in which the wheel keeps the server."""
        return self.packages / "pytriton" / "tritonserver"

    @property
    def libraries_directory(self) -> Path:
        """Return the folder of the libraries that the wheel brings, under hashed names."""
        return self.packages / "nvidia_pytriton.libs"

    @property
    def cuda_directories(self) -> tuple[Path, ...]:
        """Return the folders of the CUDA libraries; none in an environment for CPU."""
        return tuple(sorted(self.packages.glob("nvidia/*/lib")))

    @property
    def links(self) -> Path:
        """Return the folder of links that give libraries the names that are asked for."""
        return self.root / "links"


def read(root: Path, wheels: Wheels) -> Toolchain | str | None:
    """Return the toolchain at `root`, what is wrong with it, or None where there is none.

    It is held against what was written down when every program had run: the size of each file that
    the programs load, and the interpreter, which a system may have renewed or taken away since.
    """
    if not root.exists():
        return None
    try:
        facts = json.loads((root / FACTS).read_text(encoding="utf-8"))
        library = facts["libpython"] and Path(facts["libpython"])
        interpreter = Interpreter(
            program=Path(facts["interpreter"]), minor=wheels.python, library=library
        )
        fault = _fault(root, facts["resolved"], library, facts["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{root / FACTS} is missing or damaged"
    return fault or describe(root, wheels, interpreter)


def _fault(
    root: Path, resolved: str, library: Path | None, files: Iterable[tuple[str, int]]
) -> str | None:
    """Say what is not as it was, None where all is."""
    if os.path.realpath(root / "bin" / "python3") != resolved or not os.access(resolved, os.X_OK):
        return f"its interpreter {resolved} has gone"
    if library is not None and not library.is_file():
        return f"the shared library of its interpreter, {library}, has gone"
    for name, size in files:
        path = root / name
        have = path.stat().st_size if path.exists() else None
        if have != size:
            return f"{path} has {'gone' if have is None else f'{have} bytes, not {size}'}"
    return None


def facts(toolchain: Toolchain) -> str:
    """Return what `read` holds an environment against."""
    return json.dumps(
        {
            "interpreter": str(toolchain.interpreter),
            "resolved": os.path.realpath(toolchain.root / "bin" / "python3"),
            "libpython": None if toolchain.libpython is None else str(toolchain.libpython),
            "files": {
                str(path.relative_to(toolchain.root)): path.stat().st_size
                for path in _loaded(toolchain)
            },
        }
    )


def describe(root: Path, wheels: Wheels, interpreter: Interpreter) -> Toolchain:
    """Describe what lies at `root`."""
    return Toolchain(
        root=root,
        python=wheels.python,
        interpreter=interpreter.program,
        libpython=interpreter.library,
        onnxruntime=wheels.onnxruntime,
        gpu=wheels.gpu,
        analyzer=wheels.perf_analyzer,
    )


def _loaded(toolchain: Toolchain) -> Iterator[Path]:
    """Yield the files that the programs load; Python makes its bytecode anew."""
    yield toolchain.perf_analyzer
    yield from toolchain.links.iterdir()
    for folder in (*(toolchain.packages / each for each in _PROGRAMS), *toolchain.cuda_directories):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                yield path
