"""Make an environment that holds the server: from wheels, with links, and tried out."""

import ctypes
import json
import os
import shutil
from importlib import resources
from pathlib import Path

from tritonforge import process
from tritonforge.errors import ForgeError, ToolchainError
from tritonforge.progress import Progress
from tritonforge.toolchain import layout, pins
from tritonforge.toolchain.layout import Toolchain
from tritonforge.toolchain.machine import DOCKER, Interpreter

_HINT = (
    "the wheels are fetched once and pip's own settings hold: "
    "HTTPS_PROXY for a proxy, PIP_INDEX_URL for a mirror"
)
_STUB = "triton_python_backend_stub"
_TIMEOUT_SECONDS = 1800.0  # 100 MB over a slow line


def make(root: Path, interpreter: Interpreter, *, progress: Progress) -> None:
    """Fill `root`, run every program from there and only then write the facts.

    Raises `ToolchainError` with the failed program's own last words.
    """
    progress(f"making a Python {interpreter.minor} environment", 0.0)
    _venv(root, interpreter)
    _install(root, interpreter.minor, progress)
    made = layout.describe(root, interpreter.minor, interpreter.program, interpreter.library)
    _link(made)
    progress("trying the server and perf_analyzer", 0.95)
    _prove(made)
    library = None if made.libpython is None else str(made.libpython)
    facts = {"interpreter": str(made.interpreter), "libpython": library}
    (root / layout.FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _venv(root: Path, interpreter: Interpreter) -> None:
    """Make an empty environment."""
    argv = [str(interpreter.program), "-I", "-m", "venv", str(root)]
    try:
        made = process.run(argv, timeout=300)
    except ForgeError as error:
        raise ToolchainError(error.message) from error
    if made.returncode != 0:
        raise ToolchainError(
            f"cannot make a Python environment in {root}: {made.tail}",
            hint=f"Debian and Ubuntu keep venv apart: apt install python{interpreter.minor}-venv",
        )


def _install(root: Path, minor: str, progress: Progress) -> None:
    """Run the environment's own pip, saying how far it is."""
    log = root / "pip.log"
    count = len(pins.versions(minor))

    def watch() -> None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        begun = sum(line.startswith("Collecting ") for line in lines)
        if lines:
            progress(lines[-1].strip(), 0.1 + 0.7 * begun / count)

    argv = [str(root / "bin" / "python"), "-I", "-m", "pip", "install", "--no-deps"]
    # bytecode is made for what the server imports only, when it is tried
    argv += ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--no-input"]
    argv += ["--disable-pip-version-check", "--progress-bar", "off", "--requirement"]
    with resources.as_file(pins.file(minor)) as file:
        try:
            ended = process.run([*argv, str(file)], timeout=_TIMEOUT_SECONDS, log=log, watch=watch)
        except ForgeError as error:
            raise ToolchainError(error.message, hint=_HINT) from error
    if ended.returncode != 0:
        errors = [line[7:] for line in ended.output.splitlines() if line.startswith("ERROR: ")]
        words = errors[-1] if errors else ended.tail
        raise ToolchainError(f"cannot install the embedded server; pip says: {words}", hint=_HINT)


def _link(toolchain: Toolchain) -> None:
    """Put every library and program where the programs look for it.

    `perf_analyzer` asks for libraries that the server's wheel holds under hashed names. Those of
    OpenSSL are linked only where the system has none: Python's own `ssl` may ask for newer ones.
    """
    toolchain.links.mkdir()
    wanted = ["libb64.so.0d", "libcudart.so.12"]
    wanted += [name for name in ("libssl.so.3", "libcrypto.so.3") if not _loads(name)]
    for name in wanted:
        stem, _, suffix = name.partition(".so.")
        source = next(toolchain.libraries_directory.glob(f"{stem}-*.so.{suffix}*"), None)
        if source is None:
            raise ToolchainError(f"the server's wheel holds no {name}")
        (toolchain.links / name).symlink_to(os.path.relpath(source, toolchain.links))
    if toolchain.libpython is not None:
        (toolchain.links / toolchain.libpython.name).symlink_to(toolchain.libpython)
    stubs = toolchain.triton_directory / "python_backend_stubs" / toolchain.python
    shutil.copy2(stubs / _STUB, toolchain.python_backend / _STUB)


def _prove(toolchain: Toolchain) -> None:
    """Run each program once; what does not run here must not be taken for installed.

    Without arguments the stub and with `--help` the server end with an error by design, so what
    they print is the proof.
    """
    python = str(toolchain.root / "bin" / "python3")
    # here bytecode is still written, for every later start
    environment = {**toolchain.environment, "PYTHONDONTWRITEBYTECODE": ""}
    for argv, sign in (
        ((str(toolchain.tritonserver), "--help"), "--model-repository"),
        ((str(toolchain.perf_analyzer), "--version"), f"Version {toolchain.triton}"),
        ((str(toolchain.python_backend / _STUB),), "arguments"),
        ((python, "-c", "import onnxruntime as o; print(o.__version__)"), toolchain.onnxruntime),
    ):
        ended = process.run(argv, timeout=120, environment=environment, quiet=True)
        if sign not in ended.output:
            raise ToolchainError(
                f"{Path(argv[0]).name} does not run on this machine: {ended.tail}",
                hint=f"update the system's libraries, {DOCKER}",
            )


def _loads(name: str) -> bool:
    """Say whether the system has a shared library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
