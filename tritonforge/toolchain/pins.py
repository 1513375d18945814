"""Which wheels make an environment of the embedded server: pinned and hashed.

`data/toolchain` holds them: the server and numpy by Python, ONNX Runtime by version and Python,
and `perf_analyzer` by the glibc that it needs.
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

    `lines` are those of a requirement file.
    """

    python: str
    onnxruntime: str
    perf_analyzer: str
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of the environment: other pins, other name."""
        digest = hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:12]
        own = "" if self.onnxruntime == embedded() else f"-onnxruntime{self.onnxruntime}"
        return f"{release.EMBEDDED}{own}-python{self.python}-{digest}"


def choices(
    onnxruntime: str | None = None, *, glibc: tuple[int, ...] | None = None
) -> tuple[Wheels, ...]:
    """Return what an environment can be made of, the best first: one choice a Python.

    `onnxruntime` None is the embedded release's own; a Python without a wheel of that one has the
    next newer one instead. `glibc` None is this machine's.
    """
    wanted = onnxruntime or embedded()
    client, analyzer = perf_analyzer(glibc)
    found = []
    for minor in machine.preferred(_minors()):
        wheels = {each["version"]: each["wheel"] for each in _of("onnxruntime.txt", minor)}
        version = wanted
        if wanted == embedded() and wanted not in wheels:
            newer = [each for each in wheels if _numbers(each) > _numbers(wanted)]
            version = min(newer, key=_numbers)
        if version in wheels:
            server = [each["wheel"] for each in _of(f"python{minor}.txt")]
            found.append(
                Wheels(
                    python=minor,
                    onnxruntime=version,
                    perf_analyzer=analyzer,
                    lines=(*server, client, wheels[version]),
                )
            )
    return tuple(found)


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
    known = sorted(_of("perf_analyzer.txt"), key=lambda each: _numbers(each["version"]))
    fitting = [each for each in known if _numbers(each["of"]) <= have]
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


def _numbers(version: str) -> tuple[int, ...]:
    """Turn `1.9` into numbers, so that 1.10 comes after it."""
    return tuple(int(part) for part in version.split("."))
