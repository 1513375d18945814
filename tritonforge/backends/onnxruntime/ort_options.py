"""How a config.pbtxt wants its ONNX Runtime session, with the C++ backend's meanings and words.

Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (graph level, parameters);
triton-inference-server/backend, `backend_common.cc` (ParseIntValue, ParseBoolValue).
"""

import re
from pathlib import Path

import onnxruntime as ort

_LEVELS = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_MODES = {0: ort.ExecutionMode.ORT_SEQUENTIAL, 1: ort.ExecutionMode.ORT_PARALLEL}
_BOOLEANS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
# What C's `strtol` reads: blanks before a number, anything behind it.
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")
_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
_ORT_ERROR = re.compile(r"^\[ONNXRuntimeError\] : (\d+) : \w+ : (.*)$", re.DOTALL)


class ConfigError(Exception):
    """A config that cannot be served, in the words of the C++ backend."""


def session_options(config):
    """Return the session options for a model config, given as Triton's JSON."""
    given = parameters(config)
    options = ort.SessionOptions()
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = _LEVELS.get(level, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    mode = integer(given.get("execution_mode", "0"))
    if mode not in _MODES:
        raise ConfigError(
            "Invalid configuration value provided. Expected values for execution_mode "
            f"are 0 or 1 but got {mode} ."
        )
    options.execution_mode = _MODES[mode]
    # 0 and less leave the number to ONNX Runtime
    options.intra_op_num_threads = max(0, integer(given.get("intra_op_thread_count", "0")))
    options.inter_op_num_threads = max(0, integer(given.get("inter_op_thread_count", "0")))
    # on in ONNX Runtime unless they are turned off
    options.enable_cpu_mem_arena = boolean(given.get("enable_mem_arena", "true"))
    options.enable_mem_pattern = boolean(given.get("enable_mem_pattern", "true"))
    for library in config.get("model_operations", {}).get("op_library_filename", []):
        try:
            options.register_custom_ops_library(library)
        except Exception as error:  # ONNX Runtime has no common base for its errors
            raise ConfigError(words(error)) from error
    return options


def run_options(config):
    """Return the options of every run, None where the config asks for nothing."""
    shrunk = parameters(config).get(_SHRINKAGE)
    if shrunk is None:
        return None
    options = ort.RunOptions()
    options.add_run_config_entry(_SHRINKAGE, shrunk)
    return options


def parameters(config):
    """Return the text of each parameter of a model config."""
    found = config.get("parameters", {})
    return {key: value.get("string_value", "") for key, value in found.items()}


def integer(text):
    """Read a whole number; one too large for C++'s `int`, which it does not catch, is none."""
    match = _NUMBER.match(text)
    if not match or not -(2**31) <= int(match[1]) < 2**31:
        raise ConfigError(f"failed to convert '{text}' to integral number")
    return int(match[1])


def size(text):
    """Read a number of bytes, as `integer` does."""
    match = _NUMBER.match(text)
    if not match or abs(int(match[1])) >= 2**64:
        raise ConfigError(f"failed to convert '{text}' to unsigned long long integral number")
    return int(match[1])


def boolean(text):
    """Read a switch."""
    if text.lower() not in _BOOLEANS:
        raise ConfigError(f"failed to convert '{text}' to boolean")
    return _BOOLEANS[text.lower()]


def file_name(config):
    """Return the configured name of the model file, relative to its version even with a `/`."""
    return (config.get("default_model_filename") or "model.onnx").lstrip("/")


def model_file(version_directory, config):
    """Return the `.onnx` file of a version; it may lie in a directory of the configured name."""
    path = Path(version_directory, file_name(config))
    if path.is_dir():
        path /= "model.onnx"
    if not path.is_file():
        raise ConfigError(f"unable to find '{path}' for model instance '{config['name']}'")
    return path


def words(error):
    """Return an error of ONNX Runtime as the C++ backend writes it."""
    match = _ORT_ERROR.match(str(error))
    return f"onnx runtime error {match[1]}: {match[2]}" if match else str(error)
