"""A torch module: exported to an `.onnx` file, and called as a `Run`."""

from tritonforge.export.calling import eager, exact, is_scripted, output_names
from tritonforge.export.writing import NATIVE, TORCHSCRIPT_OPSET, ExporterError, Method, export

__all__ = [
    "NATIVE",
    "TORCHSCRIPT_OPSET",
    "ExporterError",
    "Method",
    "eager",
    "exact",
    "export",
    "is_scripted",
    "output_names",
]
