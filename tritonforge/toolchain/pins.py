"""Which wheels make an environment of the embedded server: pinned and hashed.

`data/toolchain` holds them: the server and numpy by Python, ONNX Runtime by version and Python,
the one for GPU with the CUDA libraries, and `perf_analyzer` by the glibc that it needs.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from tritonforge import release
from tritonforge.toolchain import machine

_PINS = resources.files("tritonforge") / "data" / "toolchain"
_PIN = re.compile(
    r"^(?:(?:python|glibc)(?P<of>[\d.]+) )?"
    r"(?P<wheel>(?P<name>[\w-]+)==(?P<version>\S+) --hash=sha256:[0-9a-f]{64})$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """The wheels of one environment: for a Python, with one ONNX Runtime and one perf_analyzer.

    `lines` are those of a requirement file; `gpu` says that the ONNX Runtime has the CUDA provider.
    """

    python: str
    onnxruntime: str
    gpu: bool
    perf_analyzer: str
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of the environment: other pins, other name."""
        digest = hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:12]
        own = "" if self.onnxruntime == embedded() else f"-onnxruntime{self.onnxruntime}"
        gpu = "-gpu" if self.gpu else ""
        return f"{release.EMBEDDED}{own}{gpu}-python{self.python}-{digest}"


def choices(
    onnxruntime: str | None = None,
    *,
    glibc: tuple[int, ...] | None = None,
    gpu: bool | None = None,
) -> tuple[Wheels, ...]:
    """Return what an environment can be made of, the best first: one choice a Python.

    `onnxruntime` None is the embedded release's own; a Python without a wheel of that one has the
    next newer one instead. `glibc` None is this machine's. With a GPU (`gpu` None asks this
    machine) they are for it, where there are any of that ONNX Runtime; never some for it and some
    not, so that an environment for CPU does not take the place of one for GPU.
    """
    wanted = onnxruntime or embedded()
    client, analyzer = perf_analyzer(glibc)
    if (machine.no_gpu() is None) if gpu is None else gpu:
        found = _for_gpu(wanted, client, analyzer)
        if found:
            return found
    return _for_cpu(wanted, client, analyzer)


def has_gpu(onnxruntime: str) -> bool:
    """Say whether there is an ONNX Runtime of that version for GPU."""
    return any(each["version"] == onnxruntime for each in _of("gpu.txt") if each["of"])


def every() -> tuple[Wheels, ...]:
    """Return what any environment can be made of, on this machine with a GPU or without."""
    found = (
        wheels
        for runtime in runtimes()
        for gpu in (True, False)
        for wheels in choices(runtime, gpu=gpu)
    )
    return tuple({wheels.name: wheels for wheels in found}.values())


def _for_gpu(wanted: str, client: str, analyzer: str) -> tuple[Wheels, ...]:
    """Return the choices with the CUDA provider: of that very version, or none."""
    cuda = [each["wheel"] for each in _of("gpu.txt") if each["of"] is None]
    return tuple(
        Wheels(
            python=minor,
            onnxruntime=wanted,
            gpu=True,
            perf_analyzer=analyzer,
            lines=(*_server(minor), client, each["wheel"], *cuda),
        )
        for minor in machine.preferred(_minors())
        for each in _of("gpu.txt", minor)
        if each["version"] == wanted
    )


def _for_cpu(wanted: str, client: str, analyzer: str) -> tuple[Wheels, ...]:
    """Return the choices without; a Python may have a newer one than the embedded release's."""
    found = []
    for minor in machine.preferred(_minors()):
        wheels = {each["version"]: each["wheel"] for each in _of("onnxruntime.txt", minor)}
        version = wanted
        if wanted == embedded() and wanted not in wheels:
            newer = [each for each in wheels if machine.numbers(each) > machine.numbers(wanted)]
            version = min(newer, key=machine.numbers)
        if version in wheels:
            found.append(
                Wheels(
                    python=minor,
                    onnxruntime=version,
                    gpu=False,
                    perf_analyzer=analyzer,
                    lines=(*_server(minor), client, wheels[version]),
                )
            )
    return tuple(found)


def _server(minor: str) -> tuple[str, ...]:
    """Return the server and numpy for a Python."""
    return tuple(each["wheel"] for each in _of(f"python{minor}.txt"))


def embedded() -> str:
    """Return the ONNX Runtime of the release whose server this is."""
    return release.find(release.EMBEDDED).onnxruntime


def runtimes() -> tuple[str, ...]:
    """Return every ONNX Runtime that has a wheel: the embedded release's own first."""
    found = dict.fromkeys(each["version"] for each in _of("onnxruntime.txt"))
    return tuple(dict.fromkeys([embedded(), *found]))


def perf_analyzer(glibc: tuple[int, ...] | None = None) -> tuple[str, str]:
    """Return the requirement and the version of the newest perf_analyzer for a C library.

    Where the C library is too old for any the oldest is returned: `machine.check` says so.
    """
    have = machine.glibc() if glibc is None else glibc
    known = sorted(_of("perf_analyzer.txt"), key=lambda each: machine.numbers(each["version"]))
    fitting = [each for each in known if machine.numbers(each["of"]) <= have]
    chosen = fitting[-1] if fitting else known[0]
    return chosen["wheel"], chosen["version"]


def _minors() -> tuple[str, ...]:
    """Return the Python versions for which there are pins."""
    names = (re.fullmatch(r"python(3\.\d+)\.txt", file.name) for file in _PINS.iterdir())
    return tuple(match[1] for match in names if match)


@cache
def _of(file: str, key: str | None = None) -> tuple[dict[str, str], ...]:
    """Read the pins of a file, all or those of one Python."""
    found = (match.groupdict() for match in _PIN.finditer((_PINS / file).read_text("utf-8")))
    return tuple(each for each in found if key is None or each["of"] == key)
