"""BYTES tensors as ONNX Runtime's Python package takes and gives them; its C++ library takes any.

What goes in may be `str` objects, or bytes as they are in numpy's own type for them: it reads each
to its first zero, beyond the item's width where there is none, so that there has to be one. All
items have the width of the longest: one long text among many would take the memory of a multiple.
What comes out is `str`, whatever the model gives. Knows only numpy.

Source: microsoft/onnxruntime, `onnxruntime_pybind_mlvalue.cc`; tried with 1.19.2 to 1.31.1.
"""

import numpy as np
from ort_batch import RequestError

# An array of one width may have so many bytes, or be so many times as large as what it holds.
_WIDE, _TIMES = 64 << 20, 4


class TextError(Exception):
    """An answer that the Python package cannot give."""

    kind = "UNSUPPORTED"


def given(name, array):
    """Return the bytes of an input as what carries them unchanged; raises `RequestError`."""
    try:
        texts = [each.decode() for each in array.reshape(-1)]
    except UnicodeDecodeError as error:
        plain = array.reshape(-1).tolist()
        if any(b"\0" in each for each in plain):
            raise RequestError(
                f"BYTES input '{name}' has both zeros and bytes that are not valid UTF-8, which "
                f"ONNX Runtime's Python package does not take: {error}"
            ) from error
        return array.astype(f"S{_width(name, plain)}")
    return np.array(texts, dtype=object).reshape(array.shape)


def _width(name, plain):
    """Return a width for texts: a power of two, since those of one width are merged.

    Raises `RequestError` where it would take far more memory than the texts do.
    """
    longest = max(map(len, plain))
    width = 1 << longest.bit_length()  # room for a zero
    if width * len(plain) > max(_WIDE, _TIMES * sum(map(len, plain))):
        raise RequestError(
            f"BYTES input '{name}' has bytes that are not valid UTF-8, which ONNX Runtime's Python "
            f"package takes only in one width: {len(plain)} texts and one of {longest} bytes are "
            "too many"
        )
    return width


def naming(run, outputs):
    """Return a `run` that says which answer is no text."""

    def named(names, feed):
        try:
            return run(names, feed)
        except UnicodeDecodeError as error:
            asked = ", ".join(f"'{name}'" for name in names if name in outputs)
            raise TextError(
                f"BYTES output {asked} is not valid UTF-8, which ONNX Runtime's Python package "
                f"cannot give: {error}"
            ) from error

    return named
