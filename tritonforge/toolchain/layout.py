"""What lies where in an environment that holds the server."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tritonforge.release import EMBEDDED
from tritonforge.toolchain import pins

FACTS = "toolchain.json"  # written last: where it lies the environment is whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """An environment that holds the server: its root, what it was made with and its versions.

    `python` is a minor version such as `3.11`, `libpython` the shared library of `interpreter`;
    None where the server's wheel brings it.
    """

    root: Path
    python: str
    interpreter: Path
    libpython: Path | None
    triton: str
    onnxruntime: str
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
        GPUs are hidden, since the pinned ONNX Runtime is the one for CPU.
        """
        users = os.environ.get("LD_LIBRARY_PATH")
        libraries = [str(self.links), str(self.libraries_directory), *([users] if users else [])]
        return {
            "PATH": f"{self.root / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "LD_LIBRARY_PATH": ":".join(libraries),
            "PYTHONHOME": "",
            "PYTHONPATH": "",
            "PYTHONDONTWRITEBYTECODE": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }

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
    def links(self) -> Path:
        """Return the folder of links that give libraries the names that are asked for."""
        return self.root / "links"


def read(root: Path, minor: str) -> Toolchain | None:
    """Return the toolchain at `root`, None where it is missing or parts of it have gone."""
    try:
        facts = json.loads((root / FACTS).read_text(encoding="utf-8"))
        library = facts["libpython"] and Path(facts["libpython"])
        found = describe(root, minor, Path(facts["interpreter"]), library)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    parts = (found.tritonserver, found.perf_analyzer, library, root / "bin" / "python3")
    return found if all(part.exists() for part in parts if part is not None) else None


def describe(root: Path, minor: str, interpreter: Path, libpython: Path | None) -> Toolchain:
    """Describe what lies at `root`."""
    wheels = pins.versions(minor)
    return Toolchain(
        root=root,
        python=minor,
        interpreter=interpreter,
        libpython=libpython,
        triton=wheels["tritonclient"],
        onnxruntime=wheels["onnxruntime"],
    )
