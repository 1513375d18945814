"""An `.onnx` file: its signature, whether it is sound, and a session that runs it."""

from tritonforge.graph.beside import data_of, has_data, move, write
from tritonforge.graph.cached import CachedBy, cached_by
from tritonforge.graph.described import (
    conditions,
    domains,
    hidden_conditions,
    name_output_dims,
    signature,
    spare,
)
from tritonforge.graph.external import External, external_files, take_in
from tritonforge.graph.file import Stamp, check, converted, load, stamp_of
from tritonforge.graph.halved import Halved, halve
from tritonforge.graph.halved.halvable import fits
from tritonforge.graph.inspected import Inspection, inspect, kind
from tritonforge.graph.interface import interface
from tritonforge.graph.keyed import key, rename
from tritonforge.graph.naming import name_nodes, named
from tritonforge.graph.ordering import sort
from tritonforge.graph.outline import Outline, outline
from tritonforge.graph.quantized import is_quantized, steps
from tritonforge.graph.recorded import recorded
from tritonforge.graph.running import evaluator, output_dims, runtime, session
from tritonforge.graph.sound import is_legible, unsound
from tritonforge.graph.unused import drop_inputs, unused_inputs

__all__ = [
    "CachedBy",
    "External",
    "Halved",
    "Inspection",
    "Outline",
    "Stamp",
    "cached_by",
    "check",
    "conditions",
    "converted",
    "data_of",
    "domains",
    "drop_inputs",
    "evaluator",
    "external_files",
    "fits",
    "halve",
    "has_data",
    "hidden_conditions",
    "inspect",
    "interface",
    "is_legible",
    "is_quantized",
    "key",
    "kind",
    "load",
    "move",
    "name_nodes",
    "name_output_dims",
    "named",
    "outline",
    "output_dims",
    "recorded",
    "rename",
    "runtime",
    "session",
    "signature",
    "sort",
    "spare",
    "stamp_of",
    "steps",
    "take_in",
    "unsound",
    "unused_inputs",
    "write",
]
