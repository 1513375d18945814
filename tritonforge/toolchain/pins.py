"""Which wheels make the embedded server: pinned and hashed, per Python.

`data/toolchain/python3.X.txt` holds them, one file per Python for which all of them exist.
"""

import hashlib
import re
from importlib import resources
from importlib.resources.abc import Traversable

from tritonforge import release

_PIN = re.compile(r"^([\w.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", re.MULTILINE)
_PINS = resources.files("tritonforge") / "data" / "toolchain"


def minors() -> tuple[str, ...]:
    """Return the Python versions for which there are pins: stand-ins last, newest first."""
    found = [name[6:-4] for name in (file.name for file in _PINS.iterdir()) if name[-4:] == ".txt"]
    newest_first = sorted(found, key=lambda minor: int(minor.split(".")[1]), reverse=True)
    return tuple(sorted(newest_first, key=stands_in))


def stands_in(minor: str) -> bool:
    """Say whether a Python has no wheel of the release's own ONNX Runtime, but a later one's."""
    return versions(minor)["onnxruntime"] != release.find(release.EMBEDDED).onnxruntime


def versions(minor: str) -> dict[str, str]:
    """Return the version of each wheel that is pinned for a Python."""
    return dict(_PIN.findall(file(minor).read_text(encoding="utf-8")))


def fingerprint(minor: str) -> str:
    """Return what changes whenever a pin does."""
    return hashlib.sha256(file(minor).read_bytes()).hexdigest()[:12]


def file(minor: str) -> Traversable:
    """Return the requirement file for a Python."""
    return _PINS / f"python{minor}.txt"
