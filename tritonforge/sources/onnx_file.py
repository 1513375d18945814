"""An `.onnx` file that someone else exported."""

from pathlib import Path

from tritonforge.errors import SourceError
from tritonforge.sources import given
from tritonforge.sources.given import origin
from tritonforge.sources.protocol import Loaded
from tritonforge.spec import ModelSpec
from tritonforge.stamp import sha256

__all__ = ["SUFFIXES", "claims", "load", "model_name", "origin"]

SUFFIXES = (".onnx",)


def claims(text: str) -> bool:
    """Take every path that ends in `.onnx`."""
    return text.lower().endswith(SUFFIXES)


def model_name(text: str) -> str:
    """Return the stem of the file; `model.onnx` says nothing, so its folder speaks for it.

    Where that is a number, it is a version in a model repository, and the model's folder speaks.
    """
    path = Path(text).absolute()
    if path.stem != "model":
        return path.stem
    folder = path.parent
    return folder.parent.name if folder.name.isdecimal() and folder.parent.name else folder.name


def load(text: str, spec: ModelSpec) -> Loaded:
    """Take the file as it is; its signature and domains are read from the file itself."""
    path = given.file(text)
    given.own_weights(spec, "an .onnx file")
    if spec.exporter != "auto":
        raise SourceError("--exporter does not apply to an .onnx file", hint="leave it out")
    if spec.inputs:
        raise SourceError(
            "--input does not apply to an .onnx file",
            hint="leave it out: the file itself states its inputs",
        )
    return Loaded(path=path, weights=f"file {text}", weights_sha256=sha256(path))
