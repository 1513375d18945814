"""What a user can hand in. Each kind is one module that satisfies `protocol.Source`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

from tritonforge.errors import SourceError, did_you_mean
from tritonforge.sources import (
    factory,
    given,
    hf,
    onnx_file,
    program,
    timm,
    torchscript,
    torchvision,
)
from tritonforge.sources.factory import watched
from tritonforge.sources.factory.watched import Reads
from tritonforge.sources.installed import libraries, version
from tritonforge.sources.protocol import Loaded, Source
from tritonforge.spec import ModelSpec, valid_name

__all__ = [
    "SUFFIXES",
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

# In the order in which they are asked: names of libraries may end as files do (timm's `beit3….pt`).
SOURCES = {
    "torchvision": cast("Source", torchvision),
    "timm": cast("Source", timm),
    "hf": cast("Source", hf),
    "onnx": cast("Source", onnx_file),
    "pt2": cast("Source", program),
    "torchscript": cast("Source", torchscript),
    "factory": cast("Source", factory),
}

# What the names of files end with that are sources, and of those that hold some, too.
_FILES = (*onnx_file.SUFFIXES, *program.SUFFIXES, *torchscript.SUFFIXES)
SUFFIXES = (*_FILES, factory.SUFFIX)

# Where a bare name is looked up, in this order.
_NAMED = {"torchvision": torchvision, "timm": timm}
_BARE = re.compile(r"[A-Za-z0-9_.-]+")
_HUB = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")  # how models are named at Hugging Face

# Which extra brings a library.
_EXTRAS = {
    **dict.fromkeys(("torch", "torchvision", "safetensors", "onnxscript"), "torch"),
    "timm": "timm",
    **dict.fromkeys(("transformers", "sentence_transformers", "huggingface_hub"), "hf"),
}


def kind(text: str) -> Source:
    """Find the kind of source that reads `text`; raises `SourceError`.

    A bare name is torchvision's as far as its form goes.
    """
    for source in SOURCES.values():
        if source.claims(text):
            return source
    if _BARE.fullmatch(text):
        return SOURCES["torchvision"]
    if (folder := given.folder(text, _FILES)) is not None:
        raise SourceError(folder[0], hint=folder[1])
    raise SourceError(
        f"cannot tell what kind of source {text!r} is",
        hint=(f"one of Hugging Face is named hf:{text}; else " if _HUB.fullmatch(text) else "")
        + "give a name (resnet50), hf:ID, file.py:factory, pkg.module:factory, model.onnx, .pt2"
        " or .pt",
    )


def _named(text: str) -> str:
    """Put before a bare name the library that has it; raises `SourceError` where none has."""
    if kind(text).claims(text):
        return text
    asked: dict[str, list[str]] = {}
    for prefix, library in _NAMED.items():
        with suppress(ModuleNotFoundError):
            asked[prefix] = library.names()
            if text in asked[prefix]:
                return f"{prefix}:{text}"
    if not asked:
        raise _missing(text, "torch")
    none = f"{' and '.join(asked)} {'have' if len(asked) > 1 else 'has'} no model {text!r}"
    if (folder := given.folder(text, _FILES)) is not None:
        raise SourceError(f"{none}, and {folder[0]}", hint=folder[1])
    known = [name for names in asked.values() for name in names]
    absent = next((prefix for prefix in _NAMED if prefix not in asked), None)
    instead = (
        f"a model of Hugging Face is named hf:{text}, a file with its suffix (model.onnx), a"
        " factory file.py:factory"
    )
    if absent is not None:
        instead = f"{absent} may have it: pip install 'tritonforge[{_EXTRAS[absent]}]'"
    raise SourceError(none, hint=did_you_mean(text, known) or instead)


def model_name(spec: ModelSpec) -> str:
    """Return `--name`, else the source's own name made valid.

    A torchvision or timm model is named like itself, an `.onnx` file by its stem, a factory by the
    stem of its file or the last part of its module and the factory: `nets.py:tiny` gives
    `nets_tiny`.
    """
    return spec.name or valid_name(kind(spec.source).model_name(spec.source))


def check(text: str) -> None:
    """Raise `SourceError` for a name that no kind of source has; nothing is loaded.

    Files are not looked for, and no code of the user's is run.
    """
    with _libraries(text):
        text = _named(text)
        for library in _NAMED.values():
            if kind(text) is library:
                library.known(library.model_name(text))


def file(text: str) -> Path | None:
    """Return the file that a source is, None where it is none or cannot be found."""
    origin = kind(text).origin(text)
    return None if origin is None else origin.path


def is_a_file(text: str) -> bool:
    """Say whether a source is a file of the user's, also where it cannot be found."""
    return kind(text).origin(text) is not None


def identity(text: str) -> tuple[str, ...]:
    """Return what tells a source from all others, whatever the folder it is named from."""
    origin = kind(text).origin(text)
    if origin is None or origin.path is None:
        return (text,)
    return (str(origin.path.resolve()), origin.part)


@contextmanager
def opened(text: str) -> Iterator[Reads]:
    """Collect what a user's code reads while it is run, nothing for a source that has none."""
    if kind(text) is not SOURCES["factory"]:
        yield Reads()
        return
    with watched.opened(file(text)) as found:
        yield found


def load(spec: ModelSpec) -> Loaded:
    """Load the source of a spec; raises `SourceError`, also for a library that is missing.

    Where it is a bare name, a note says whose it is.
    """
    with _libraries(spec.source):
        text = _named(spec.source)
        loaded = kind(text).load(text, spec)
    if text == spec.source:
        return loaded
    return replace(loaded, notes=(f"{spec.source} is taken from {text}", *loaded.notes))


@contextmanager
def _libraries(text: str) -> Iterator[None]:
    """Say which library a source needs where it is missing."""
    try:
        yield
    except ImportError as error:
        if error.name not in _EXTRAS:
            raise
        raise _missing(text, error.name) from error


def _missing(text: str, library: str) -> SourceError:
    """Return the error of a library that is not installed."""
    return SourceError(
        f"{text} needs {library}, which is not installed",
        hint=f"pip install 'tritonforge[{_EXTRAS[library]}]'",
    )
