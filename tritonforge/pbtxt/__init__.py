"""`config.pbtxt`: from a signature to the protobuf message `ModelConfig`, to text, and back.

A text that stands is read and changed in place: `get`, `put`, `unset`, and two of them compared.
What a person says is laid over a message (`lay`).
"""

from tritonforge.pbtxt.accelerating import accelerate
from tritonforge.pbtxt.asking import (
    dtype,
    is_complete,
    may_use_gpu,
    needs_gpu,
    needs_openvino,
    rehearse,
    served,
    without_policy,
)
from tritonforge.pbtxt.composing import THREADS, add_warmup, config, instances
from tritonforge.pbtxt.editing.differences import Difference, differences
from tritonforge.pbtxt.editing.edits import get, held, put, unset
from tritonforge.pbtxt.editing.remarks import Remark, remarks
from tritonforge.pbtxt.editing.starts import start
from tritonforge.pbtxt.editing.unknowns import parse_known
from tritonforge.pbtxt.fitting import Misfit, completed, misfits, mismatch
from tritonforge.pbtxt.reading import ModelConfig, from_json, parse, read
from tritonforge.pbtxt.rendering import check_templates, fill, render, templates
from tritonforge.pbtxt.reshaping import Dims, reshaped
from tritonforge.pbtxt.sequencing import check_states, check_tensors, hold, is_sequential, unlist
from tritonforge.pbtxt.wished import check as check_wish
from tritonforge.pbtxt.wished import lay, rivals
from tritonforge.pbtxt.wished.offered import FIELDS, TENSOR_FIELDS
from tritonforge.pbtxt.wished.schema import fields as schema

__all__ = [
    "FIELDS",
    "TENSOR_FIELDS",
    "THREADS",
    "Difference",
    "Dims",
    "Misfit",
    "ModelConfig",
    "Remark",
    "accelerate",
    "add_warmup",
    "check_states",
    "check_templates",
    "check_tensors",
    "check_wish",
    "completed",
    "config",
    "differences",
    "dtype",
    "fill",
    "from_json",
    "get",
    "held",
    "hold",
    "instances",
    "is_complete",
    "is_sequential",
    "lay",
    "may_use_gpu",
    "misfits",
    "mismatch",
    "needs_gpu",
    "needs_openvino",
    "parse",
    "parse_known",
    "put",
    "read",
    "rehearse",
    "remarks",
    "render",
    "reshaped",
    "rivals",
    "schema",
    "served",
    "start",
    "templates",
    "unlist",
    "unset",
    "without_policy",
]
