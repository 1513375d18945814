"""Which backend Triton takes for a model whose config does not say it.

Source: triton-inference-server/core, `model_config_utils.cc` (AutoCompleteBackendFields).
"""

from collections.abc import Mapping
from typing import Any

ENSEMBLE = "ensemble"
# By backend: its platform, and what it calls a model's file.
PLATFORMS: Mapping[str, str] = {
    "onnxruntime": "onnxruntime_onnx",
    "tensorrt": "tensorrt_plan",
    "pytorch": "pytorch_libtorch",
}
FILES: Mapping[str, str] = {
    "tensorrt": "model.plan",
    "onnxruntime": "model.onnx",
    "openvino": "model.xml",
    "pytorch": "model.pt",
    "python": "model.py",
}


def backend(message: Any, name: str, first: tuple[str, ...] | None) -> str | None:
    """Return the backend that serves a model, None where the server cannot tell.

    `first` are the names in the first folder of the model by its letters, version or not, None
    where the model has no folder.
    """
    if message.backend or message.platform == ENSEMBLE:
        return str(message.backend or ENSEMBLE)
    for known, platform in PLATFORMS.items():
        if message.platform == platform:
            return known
    for known, file in FILES.items():
        if message.default_model_filename == file or (
            not message.default_model_filename
            and not message.platform
            and first is not None
            and file in {each.rstrip("/") if known == "onnxruntime" else each for each in first}
        ):
            return known
    called = name.rpartition(".")[2] if "." in name else ""
    return called if called and called not in PLATFORMS else None
