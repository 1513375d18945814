"""What names of backends are written for, and which images brought a backend last."""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from tritonforge.rules.backends import ALIASES, ONNX, PYTHON, SHIPPED

_TENSORFLOW = "tensorflow"
_BETWEEN = re.compile(r"[\W_]")
_AROUND = re.compile(r"^triton(?=[\W_])|(?<=[\W_])backend$")
# What is written for a backend, its parts run together.
_WRITTEN: Mapping[str, str] = {
    **{name: name for name in SHIPPED},
    **{_BETWEEN.sub("", alias): name for alias, name in ALIASES.items()},
    "py": PYTHON,
    "python3": PYTHON,
    "onnxrt": ONNX,
    "torchscript": "pytorch",
    "trtllm": "tensorrtllm",
    "savedmodel": _TENSORFLOW,
    "tf": _TENSORFLOW,
}
# The last tag whose image brings a backend; older ones called TensorFlow's by its version, too.
_LAST: Mapping[str, str] = dict.fromkeys((_TENSORFLOW, "tensorflow1", "tensorflow2"), "25.02")


def last_with(backend: str) -> str | None:
    """Return the last tag whose image brings a backend, None where none has left them."""
    return _LAST.get(backend)


def meant_by(name: str) -> str | None:
    """Return the backend that a name is plainly meant for, None for one that may be one's own.

    That is one with marks in it, `triton` before or `backend` behind it, or a letter amiss. A
    number behind makes it another, such as pytorch2, but for python3, the program.
    """
    bare = _BETWEEN.sub("", _AROUND.sub("", name.lower()))
    if bare in _WRITTEN:
        return _WRITTEN[bare]
    found = get_close_matches(name.lower(), SHIPPED, n=2, cutoff=0.85)
    return found[0] if len(found) == 1 and not any(each.isdigit() for each in name) else None
