"""Which backend serves a model: the one that the config names, else by platform or file.

Source: triton-inference-server/core, `model_config_utils.cc` (AutoCompleteBackendFields),
`constants.h`.
"""

from collections.abc import Collection, Mapping
from typing import Any

from tritonforge import knobs
from tritonforge.release import Release

ONNX, ENSEMBLE, PYTHON = "onnxruntime", "ensemble", "python"

# The platforms that a backend goes with; of others any may be written.
PLATFORMS: Mapping[str, tuple[str, ...]] = {
    "tensorflow": ("tensorflow_savedmodel", "tensorflow_graphdef"),
    "tensorrt": ("tensorrt_plan",),
    ONNX: ("onnxruntime_onnx",),
    "pytorch": ("pytorch_libtorch",),
}
# The file of a model that tells its backend, in the order in which the server looks.
FILES: Mapping[str, str] = {
    "model.savedmodel": "tensorflow",
    "model.graphdef": "tensorflow",
    "model.plan": "tensorrt",
    "model.onnx": ONNX,
    "model.xml": "openvino",
    "model.pt": "pytorch",
    "model.py": "python",
}
# What loads the file of the name that a config gives. Others may do with that name as they like:
# the server looks for no file, and identity, vllm and tensorrtllm for none of that name.
LOADING = {*FILES.values(), "dali", "fil"}
# What is loaded where that file is not there. Source: triton-inference-server/dali_backend,
# `dali_model.h` (LoadModel).
INSTEAD = {"dali": "dali.py"}
# What torch's AOTInductor writes, and the first tag that may serve it: 25.11 surely does not.
_COMPILED, _COMPILED_FILE, _COMPILED_SINCE = "torch_aoti", "model.pt2", "25.12"
_TENSORFLOW = "tensorflow"  # whose files tell only where there is no platform
_FOLDERS = {"model.savedmodel"}  # what is a folder; a model of ONNX may be either
_BACKENDS = {platform: name for name, platforms in PLATFORMS.items() for platform in platforms}
# What the images of NVIDIA bring.
SHIPPED = (
    *(*PLATFORMS, "python", "openvino", "dali", "fil"),
    *("identity", "repeat", "square", "vllm", "tensorrtllm"),
)
# What people write for it.
ALIASES: Mapping[str, str] = {
    "onnx": ONNX,
    "ort": ONNX,
    "onnx_runtime": ONNX,
    "onnxruntime_onnx": ONNX,
    "trt": "tensorrt",
    "tensorrt_plan": "tensorrt",
    "torch": "pytorch",
    "libtorch": "pytorch",
    "pytorch_libtorch": "pytorch",
}


def is_untold(message: Any) -> bool:
    """Say whether a config tells nothing of its backend."""
    return not (
        message.backend
        or message.platform
        or message.default_model_filename
        or message.HasField("ensemble_scheduling")
    )


def derived(message: Any, content: Collection[str], release: Release) -> str:
    """Return the backend of a config that names none; nothing for none and for an ensemble."""
    platform, file = message.platform, message.default_model_filename
    if platform == ENSEMBLE:
        return ""
    is_silent = not platform and not file
    compiled = platform == _COMPILED or file == _COMPILED_FILE
    compiled = compiled or (is_silent and _lies(_COMPILED_FILE, content))
    for name, backend in FILES.items():
        named = file == name and not (backend == _TENSORFLOW and platform)
        if backend == PYTHON and compiled and knobs.begun(_COMPILED_SINCE, release):
            return "pytorch"
        if platform in PLATFORMS.get(backend, ()) or named:
            return backend
        if is_silent and _lies(name, content):
            return backend
    return _BACKENDS.get(platform, "")


def serving(message: Any, name: str, content: Collection[str], release: Release) -> str | None:
    """Return what serves a model of a name, None where the server cannot tell.

    `content` are the names in the first folder of the model by its letters, version or not. What
    tells nothing, no platform and no file, may tell its backend behind the first dot of its name.
    """
    found = message.backend or derived(message, content, release)
    if found or message.platform == ENSEMBLE:
        return str(found or ENSEMBLE)
    if message.platform or message.default_model_filename:
        return None
    called = name.partition(".")[2]
    return called if called and called not in PLATFORMS else None


def file_of(backend: str | None) -> str:
    """Return what a backend calls a model's file; nothing where that is its own to say."""
    named = [file for file, each in FILES.items() if each == backend]
    return named[0] if len(named) == 1 else ""


def _lies(name: str, content: Collection[str]) -> bool:
    """Say whether a model's file is there, and no folder in its place."""
    is_file, is_folder = name in content, f"{name}/" in content
    return is_folder if name in _FOLDERS else is_file or (is_folder and name == "model.onnx")
