"""Make an environment that holds the server: from wheels, with links, and tried out."""

import ctypes
import os
import shlex
import shutil
from pathlib import Path

from tritonforge import process
from tritonforge.errors import ForgeError, ToolchainError
from tritonforge.progress import Progress
from tritonforge.toolchain import layout
from tritonforge.toolchain.layout import Toolchain
from tritonforge.toolchain.machine import DOCKER, Interpreter
from tritonforge.toolchain.pins import Wheels

_HINT = (
    "the wheels are fetched once and pip's own settings hold: "
    "HTTPS_PROXY for a proxy, PIP_INDEX_URL for a mirror; without a network: "
    "tritonforge toolchain install --find-links DIR"
)
# The tags that the pinned wheels bear, for a `pip download` on any machine.
_PLATFORMS = (
    *("manylinux1", "manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28"),
    *("manylinux_2_34", "manylinux_2_35"),
)
_STUB = "triton_python_backend_stub"
_TIMEOUT_SECONDS = 7200.0  # 1.5 GB over a slow line, which is what a GPU takes


def make(
    root: Path,
    wheels: Wheels,
    interpreter: Interpreter,
    *,
    find_links: Path | None = None,
    progress: Progress,
) -> None:
    """Fill `root`, run every program from there and only then write the facts.

    With `find_links` the wheels come from that folder and nowhere else. Raises `ToolchainError`
    with the failed program's own last words.
    """
    if find_links is not None:
        _check(find_links, wheels)
    progress(f"making a Python {interpreter.minor} environment", 0.0)
    _venv(root, interpreter)
    _install(root, wheels, find_links, progress)
    made = layout.describe(root, wheels, interpreter)
    _link(made)
    progress("trying the server and perf_analyzer", 0.95)
    _prove(made)
    (root / layout.FACTS).write_text(layout.facts(made), encoding="utf-8")


def _check(folder: Path, wheels: Wheels) -> None:
    """Raise `ToolchainError` that names every wheel that a folder lacks: pip names but one."""
    wanted = [line.split()[0] for line in wheels.lines]
    missing = [
        each
        for each in wanted
        if not any(folder.glob(f"{each.replace('-', '_').replace('==', '-')}-*.whl"))
    ]
    if missing:
        argv = ["pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
        argv += ["--implementation", "cp", "--python-version", wheels.python]
        argv += [part for tag in _PLATFORMS for part in ("--platform", f"{tag}_x86_64")]
        raise ToolchainError(
            f"{folder} lacks {', '.join(missing)} for Python {wheels.python}",
            hint=f"where there is a network: {shlex.join([*argv, *wanted])}",
        )


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


def _install(root: Path, wheels: Wheels, find_links: Path | None, progress: Progress) -> None:
    """Run the environment's own pip, saying how far it is."""
    log = root / "pip.log"

    def watch() -> None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        begun = sum(line.startswith("Collecting ") for line in lines)
        if lines:
            progress(lines[-1].strip(), 0.1 + 0.7 * begun / len(wheels.lines))

    argv = [str(root / "bin" / "python"), "-I", "-m", "pip", "install", "--no-deps"]
    # bytecode is made for what the server imports only, when it is tried
    argv += ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--no-input"]
    argv += ["--disable-pip-version-check", "--progress-bar", "off"]
    if find_links is not None:
        argv += ["--no-index", "--find-links", str(find_links.absolute())]
    file = root / "requirements.txt"
    file.write_text("\n".join(wheels.lines) + "\n", encoding="utf-8")
    argv += ["--requirement", str(file)]
    try:
        ended = process.run(argv, timeout=_TIMEOUT_SECONDS, log=log, watch=watch)
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
        # the one that the wheel brings is found first (DT_RPATH), and is no match for the
        # interpreter's own modules
        minor = toolchain.python.partition(".")[2]
        for bundled in toolchain.libraries_directory.glob(f"libpython3-*.{minor}.so.1.0"):
            bundled.unlink()
            bundled.symlink_to(toolchain.libpython)
    stubs = toolchain.triton_directory / "python_backend_stubs" / toolchain.python
    shutil.copy2(stubs / _STUB, toolchain.python_backend / _STUB)


def _prove(toolchain: Toolchain) -> None:
    """Run each program once; what does not run here must not be taken for installed.

    Without arguments the stub and with `--help` the server end with an error by design, so what
    they print is the proof.
    """
    python = str(toolchain.root / "bin" / "python3")
    # The provider itself does not load where there is no driver (microsoft/onnxruntime#24652), and
    # an environment may be made where there is none: what it asks for is what can be tried.
    names = layout.CUDA_LIBRARIES if toolchain.gpu else ()
    cuda = f"import ctypes; [ctypes.CDLL(each) for each in {names}]; print('loaded')"
    # here bytecode is still written, for every later start
    environment = {**toolchain.environment, "PYTHONDONTWRITEBYTECODE": ""}
    for argv, sign in (
        ((str(toolchain.tritonserver), "--help"), "--model-repository"),
        ((str(toolchain.perf_analyzer), "--version"), f"Version {toolchain.analyzer}"),
        ((str(toolchain.python_backend / _STUB),), "arguments"),
        ((python, "-c", "import onnxruntime as o; print(o.__version__)"), toolchain.onnxruntime),
        ((python, "-c", cuda), "loaded"),
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
