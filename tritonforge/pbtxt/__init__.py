"""`config.pbtxt`: from a signature to the protobuf message `ModelConfig`, to text, and back."""

from tritonforge.pbtxt.accelerating import accelerate
from tritonforge.pbtxt.asking import (
    dtype,
    is_complete,
    needs_gpu,
    needs_openvino,
    rehearse,
    served,
    without_policy,
)
from tritonforge.pbtxt.composing import THREADS, add_warmup, config, instances
from tritonforge.pbtxt.fitting import mismatch
from tritonforge.pbtxt.offered import FIELDS, TENSOR_FIELDS
from tritonforge.pbtxt.reading import ModelConfig, from_json, parse, read
from tritonforge.pbtxt.rendering import fill, render, templates
from tritonforge.pbtxt.schema import fields as schema
from tritonforge.pbtxt.sequencing import check_tensors, hold, is_sequential, unlist
from tritonforge.pbtxt.targeted import Fault, faults
from tritonforge.pbtxt.wished import check as check_wish
from tritonforge.pbtxt.wished import lay, rivals

__all__ = [
    "FIELDS",
    "TENSOR_FIELDS",
    "THREADS",
    "Fault",
    "ModelConfig",
    "accelerate",
    "add_warmup",
    "check_tensors",
    "check_wish",
    "config",
    "dtype",
    "faults",
    "fill",
    "from_json",
    "hold",
    "instances",
    "is_complete",
    "is_sequential",
    "lay",
    "mismatch",
    "needs_gpu",
    "needs_openvino",
    "parse",
    "read",
    "rehearse",
    "render",
    "rivals",
    "schema",
    "served",
    "templates",
    "unlist",
    "without_policy",
]
