"""BYTES tensors as ONNX Runtime's Python package takes and gives them; its C++ library takes any.

What goes in may be `str` objects, or bytes as they are in numpy's own type for them: it reads each
to its first zero, beyond the item's width where there is none, so that there has to be one. What
comes out is `str`, whatever the model gives. Knows only numpy.

Source: microsoft/onnxruntime, `onnxruntime_pybind_mlvalue.cc`; tried with 1.19.2 to 1.31.1.
"""

import numpy as np
from ort_batch import RequestError


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
        return array.astype(f"S{max(map(len, plain)) + 1}")
    return np.array(texts, dtype=object).reshape(array.shape)


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
