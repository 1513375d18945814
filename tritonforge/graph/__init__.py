"""An `.onnx` file: its signature, whether it is sound, and a session that runs it."""

from tritonforge.graph.described import (
    conditions,
    domains,
    hidden_conditions,
    name_output_dims,
    signature,
)
from tritonforge.graph.file import Stamp, check, converted, external_files, load, stamp_of, write
from tritonforge.graph.inspected import Inspection, inspect
from tritonforge.graph.recorded import recorded
from tritonforge.graph.running import evaluator, output_dims, session

__all__ = [
    "Inspection",
    "Stamp",
    "check",
    "conditions",
    "converted",
    "domains",
    "evaluator",
    "external_files",
    "hidden_conditions",
    "inspect",
    "load",
    "name_output_dims",
    "output_dims",
    "recorded",
    "session",
    "signature",
    "stamp_of",
    "write",
]
