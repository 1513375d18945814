"""A file of the user's that is a source as it stands, and a folder that is none."""

from collections.abc import Sequence
from pathlib import Path

from tritonforge import presence
from tritonforge.errors import SourceError
from tritonforge.sources.protocol import Origin
from tritonforge.spec import ModelSpec

_NAMED = 3  # files of a folder
_INSTEAD = (
    "give the folder of a transformers model as hf:FOLDER, a file by its own path, or the name of a"
    " model (resnet50)"
)


def model_name(text: str) -> str:
    """Return the stem of the file."""
    return Path(text).stem


def origin(text: str) -> Origin:
    """Return its path."""
    return Origin(path=Path(text))


def file(text: str) -> Path:
    """Return the path of a file that is there; raises `SourceError` and says what is instead."""
    path = Path(text)
    fault = presence.no_file(path, path.suffix)
    if fault is not None:
        raise SourceError(fault[0], hint=fault[1])
    return path


def folder(text: str, suffixes: Sequence[str]) -> tuple[str, str] | None:
    """Say of a folder why it is no source, and what helps; None where there is none.

    `suffixes` end the files that are sources.
    """
    place = Path(text)
    if not text or not place.is_dir():
        return None
    if (place / "config.json").is_file():
        return f"{text!r} is a folder", f"hf:{text} builds what its config.json describes"
    inside = [*sorted(place.glob("*")), *sorted(place.glob("*/*"))]
    files = [each for each in inside if each.name.lower().endswith(tuple(suffixes))]
    if files:
        named = ", ".join(map(str, files[:_NAMED]))
        return f"{text!r} is a folder", f"name a file in it: {named}"
    none = f"no config.json, and no file that ends in {', '.join(suffixes)}"
    return f"{text!r} is a folder that holds no model: {none}", _INSTEAD


def own_weights(spec: ModelSpec, what: str) -> None:
    """Raise `SourceError` where other weights are wished of a file that holds its own."""
    if spec.weights != "default":
        raise SourceError(
            f"--weights does not apply to {what}, which holds its own",
            hint="leave it out: it gives weights to what a name of a library, hf: or a factory"
            " makes",
            at=("weights",),
        )
