"""From text, or from what a server tells, to the message."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from tritonforge.errors import ConfigError

ModelConfig = model_config_pb2.ModelConfig


def read(path: Path) -> Any:
    """Read the file of a config; raise `ConfigError` as `parse` does."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: {error}", hint="save it as UTF-8") from error
    return parse(text, path)


def parse(text: str, path: Path | str = "config.pbtxt") -> Any:
    """Read the text of a config; raise `ConfigError` with file, line and column."""
    message = ModelConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        where = f"{path}:{error.GetLine()}:{error.GetColumn()}" if error.GetLine() else str(path)
        said = str(error).removeprefix(f"{error.GetLine()}:{error.GetColumn()} : ")
        raise ConfigError(f"{where}: {said}", hint="mend the line, or delete the file") from error
    return message


def from_json(said: Mapping[str, Any]) -> Any:
    """Read a config as a server tells it; what a newer one has besides is left out.

    Raises `ConfigError` where it is none.
    """
    try:
        return json_format.ParseDict(said, ModelConfig(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ConfigError(f"what the server tells of a config is none: {error}") from error
