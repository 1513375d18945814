"""What a user can hand in. Each kind is one module that satisfies `protocol.Source`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from tritonforge.errors import SourceError
from tritonforge.sources import factory, onnx_file, torchvision, watched
from tritonforge.sources.installed import libraries, version
from tritonforge.sources.protocol import Loaded, Source
from tritonforge.sources.watched import Reads
from tritonforge.spec import ModelSpec, valid_name

__all__ = [
    "Loaded",
    "Reads",
    "check",
    "file",
    "identity",
    "is_a_file",
    "kind",
    "libraries",
    "load",
    "model_name",
    "opened",
    "version",
]

# In the order in which they are asked; a bare name belongs to the last.
SOURCES = {
    "onnx": cast("Source", onnx_file),
    "torchvision": cast("Source", torchvision),
    "factory": cast("Source", factory),
}

_LIBRARIES = {"torch", "torchvision", "safetensors", "onnxscript"}


def kind(text: str) -> Source:
    """Find the kind of source that reads `text`; raises `SourceError`."""
    for source in SOURCES.values():
        if source.claims(text):
            return source
    raise SourceError(
        f"cannot tell what kind of source {text!r} is",
        hint="give a name (resnet50), file.py:factory, pkg.module:factory or model.onnx",
    )


def model_name(spec: ModelSpec) -> str:
    """Return `--name`, else the source's own name made valid.

    A torchvision model is named like itself, an `.onnx` file by its stem, a factory by the stem of
    its file or the last part of its module and the factory: `nets.py:tiny` gives `nets_tiny`.
    """
    return spec.name or valid_name(kind(spec.source).model_name(spec.source))


def check(text: str) -> None:
    """Raise `SourceError` for a name that no kind of source has; nothing is loaded.

    Files are not looked for, and no code of the user's is run.
    """
    if kind(text) is SOURCES["torchvision"]:
        with _libraries(text):
            torchvision.known(torchvision.model_name(text))


def file(text: str) -> Path | None:
    """Return the file that a source is, None where it is none or cannot be found."""
    return kind(text).file(text)


def is_a_file(text: str) -> bool:
    """Say whether a source is a file of the user's, also where it cannot be found."""
    return kind(text) is not SOURCES["torchvision"]


def identity(text: str) -> tuple[str, ...]:
    """Return what tells a source from all others, whatever the folder it is named from."""
    path = file(text)
    if path is None:
        return (text,)
    place = str(path.resolve())
    return (place, text.rsplit(":", 1)[1]) if kind(text) is SOURCES["factory"] else (place,)


@contextmanager
def opened(text: str) -> Iterator[Reads]:
    """Collect what a user's code reads while it is run, nothing for a source that has none."""
    if kind(text) is not SOURCES["factory"]:
        yield Reads()
        return
    with watched.opened(file(text)) as found:
        yield found


def load(spec: ModelSpec) -> Loaded:
    """Load the source of a spec; raises `SourceError`, also for a library that is missing."""
    with _libraries(spec.source):
        return kind(spec.source).load(spec.source, spec)


@contextmanager
def _libraries(text: str) -> Iterator[None]:
    """Say which library a source needs where it is missing."""
    try:
        yield
    except ImportError as error:
        if error.name not in _LIBRARIES:
            raise
        raise SourceError(
            f"{text} needs {error.name}, which is not installed",
            hint="pip install 'tritonforge[torch]'",
        ) from error
