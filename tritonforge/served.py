"""Which file of a version a server loads."""

from pathlib import Path

from tritonforge import pbtxt
from tritonforge.repository import MODEL, Entry


def model_path(entry: Entry) -> Path:
    """Return the file that the config names, else `model.onnx`; raises `ConfigError`.

    Source: `default_model_filename` of triton-inference-server/common, `model_config.proto`.
    """
    named = ""
    if entry.config_path.is_file():
        config = pbtxt.read(entry.config_path)
        named = config.default_model_filename
    return entry.version_dir / (named or MODEL)
