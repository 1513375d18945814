"""Whether a config fits the file that it is to serve, as the ONNX Runtime backend compares them.

Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs,
ValidateOutputs) and `onnxruntime_utils.cc` (CompareDimsSupported).
"""

from collections.abc import Iterator
from typing import Any

from tritonforge.pbtxt.fitting import batch, filled, listed
from tritonforge.pbtxt.fitting.completing import capable, completed
from tritonforge.pbtxt.fitting.misfit import Kind, Misfit, configured
from tritonforge.tensors import Interface, Signature

__all__ = ["Kind", "Misfit", "capable", "completed", "configured", "misfits", "mismatch"]


def misfits(message: Any, has: Interface, *, scalars: bool = True) -> Iterator[Misfit]:
    """Yield each reason why a config cannot serve a file, or would not as it was meant.

    `scalars` says that the release takes tensors without dimensions for such of one value.
    """
    yield from listed.forms(has)
    yield from listed.names(message, has)
    yield from filled.names(message, has)
    yield from batch.stated(message, has, scalars=scalars)
    yield from listed.tensors(message, has, scalars=scalars)
    yield from filled.tensors(message, has)


def mismatch(message: Any, signature: Signature) -> str | None:
    """Say why the config cannot serve a file with this signature; None where it can.

    Inputs that the config calls optional are weights of the file.
    """
    optional = {entry.name for entry in message.input if entry.optional}
    whole = Interface.of(signature)
    has = Interface(
        inputs=tuple(each for each in whole.inputs if each.name not in optional),
        optional=tuple(each for each in whole.inputs if each.name in optional),
        outputs=whole.outputs,
    )
    return next((each.said for each in misfits(message, has)), None)
