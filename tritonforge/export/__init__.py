"""A torch module: exported to an `.onnx` file, and called as a `Run`."""

from tritonforge.export.aside import Aside, put_aside
from tritonforge.export.calling import CallError, eager, exact, is_scripted, optional
from tritonforge.export.flattened import Flattened, flattened
from tritonforge.export.writing import (
    NATIVE,
    TORCHSCRIPT_OPSET,
    ExporterError,
    Method,
    Prepared,
    export,
    plainly,
)

__all__ = [
    "NATIVE",
    "TORCHSCRIPT_OPSET",
    "Aside",
    "CallError",
    "ExporterError",
    "Flattened",
    "Method",
    "Prepared",
    "eager",
    "exact",
    "export",
    "flattened",
    "is_scripted",
    "optional",
    "plainly",
    "put_aside",
]
