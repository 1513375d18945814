"""BYTES tensors as ONNX Runtime's Python package takes and gives them; its C++ library takes any.

What goes in may be `str` objects, or bytes as they are in numpy's own type for them, which end at
their first zero. What comes out is `str`, whatever the model gives. Knows only numpy.

Source: microsoft/onnxruntime, `onnxruntime_pybind_mlvalue.cc`; tried with 1.19.2.
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
        if any(b"\0" in each for each in array.reshape(-1)):
            raise RequestError(
                f"BYTES input '{name}' has both zeros and bytes that are not valid UTF-8, which "
                f"ONNX Runtime's Python package does not take: {error}"
            ) from error
        return np.array(array.tolist(), dtype=np.bytes_)
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
