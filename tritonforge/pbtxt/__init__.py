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
from tritonforge.pbtxt.reading import ModelConfig, from_json, parse, read
from tritonforge.pbtxt.rendering import render, templates

__all__ = [
    "ModelConfig",
    "config",
    "dtype",
    "from_json",
    "is_complete",
    "mismatch",
    "needs_gpu",
    "needs_openvino",
    "parse",
    "read",
    "rehearse",
    "render",
    "served",
    "templates",
    "without_policy",
]
