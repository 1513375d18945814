"""`config.pbtxt`: from a signature to the protobuf message `ModelConfig`, to text, and back."""

from tritonforge.pbtxt.asking import (
    dtype,
    is_complete,
    needs_gpu,
    needs_openvino,
    rehearse,
    served,
    without_policy,
)
from tritonforge.pbtxt.composing import config
from tritonforge.pbtxt.fitting import mismatch
from tritonforge.pbtxt.offered import FIELDS, TENSOR_FIELDS
from tritonforge.pbtxt.reading import ModelConfig, from_json, parse, read
from tritonforge.pbtxt.rendering import render, templates
from tritonforge.pbtxt.schema import fields as schema
from tritonforge.pbtxt.targeted import Fault, faults
from tritonforge.pbtxt.wished import check as check_wish
from tritonforge.pbtxt.wished import lay, rivals

__all__ = [
    "FIELDS",
    "TENSOR_FIELDS",
    "Fault",
    "ModelConfig",
    "check_wish",
    "config",
    "dtype",
    "faults",
    "from_json",
    "is_complete",
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
    "without_policy",
]
