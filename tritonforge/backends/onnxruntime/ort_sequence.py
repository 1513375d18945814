"""What `sequence_batching` asks of a model file: control tensors and states, and whether it fits.

Both are inputs of the file that the config does not list among its own; Triton's core adds them to
every request, controls with the sequence's flags in them and states with their initial data.

Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateBooleanSequence-
Control, ValidateTypedSequenceControl) for the rules and their words.
"""

from dataclasses import dataclass

from ort_match import TYPES, batching, text
from ort_options import ConfigError

_CORRELATION = "CONTROL_SEQUENCE_CORRID"
_KINDS = ("CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_READY", _CORRELATION)
_VALUES = {
    "int32_false_true": "TYPE_INT32",
    "fp32_false_true": "TYPE_FP32",
    "bool_false_true": "TYPE_BOOL",
}
# ONNX's names of types where they differ from Triton's
_ONNX = {"TYPE_FP16": "FLOAT16", "TYPE_FP32": "FLOAT", "TYPE_FP64": "DOUBLE"}


@dataclass(frozen=True)
class Added:
    """An input of the file that the core adds to every request."""

    name: str
    type: str


@dataclass(frozen=True)
class State(Added):
    """A state: the input that takes it and the output that gives the next."""

    output: str


def controls(config):
    """Return the control tensors, in the order in which they are checked."""
    asked = [
        (control["kind"], entry["name"], control)
        for entry in config.get("sequence_batching", {}).get("control_input", [])
        for control in entry.get("control", [])
    ]
    return [
        Added(name=name, type=_type(kind, control))
        for known in _KINDS
        for kind, name, control in asked
        if kind == known
    ]


def _type(kind, control):
    if kind == _CORRELATION:
        return control["data_type"]
    return next(dtype for key, dtype in _VALUES.items() if control.get(key))


def states(config):
    """Return the states."""
    return [
        State(name=state["input_name"], type=state["data_type"], output=state["output_name"])
        for state in config.get("sequence_batching", {}).get("state", [])
    ]


def added(config):
    """Return all inputs of the file that the core adds to a request."""
    return [*controls(config), *states(config)]


def check_controls(config, inputs):
    """Raise ConfigError where the file lacks a control tensor, or has it otherwise."""
    batched = batching(config)
    for entry in config.get("sequence_batching", {}).get("control_input", []):
        if not all(isinstance(control["kind"], str) for control in entry.get("control", [])):
            raise ConfigError("attempt to access JSON non-string as string")  # it has no name
    for control in controls(config):
        tensor = inputs.get(control.name)
        if tensor is None:
            raise ConfigError(
                f"configuration specified sequence control '{control.name}', but model does not "
                "provide that input"
            )
        where = f"unable to load model '{config['name']}', sequence control '{control.name}'"
        dims = tensor.dims[1:] if batched else tensor.dims
        if dims != (1,):
            raise ConfigError(f"{where} in model has dims {text(dims)} but dims [1] is expected")
        if tensor.type != control.type:
            known = _ONNX.get(tensor.type, tensor.type.removeprefix("TYPE_"))
            raise ConfigError(
                f"{where}, the model expects data-type {known} but the model configuration "
                f"specifies data-type {control.type}"
            )


def check_states(config):
    """Raise ConfigError for states with which Triton's Python backend dies at the first request.

    The C++ backend loads such a model, and each of its requests fails.
    """
    for state in states(config):
        if not state.name or state.type not in TYPES.values():
            raise ConfigError(
                f"unable to load model '{config['name']}', a state needs an input_name and a "
                "data_type: with neither can requests be handed to a backend in Python"
            )
