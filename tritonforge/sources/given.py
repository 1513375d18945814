"""A file of the user's that is a source as it stands."""

from pathlib import Path

from tritonforge import presence
from tritonforge.errors import SourceError
from tritonforge.spec import ModelSpec


def file(text: str) -> Path:
    """Return the path of a file that is there; raises `SourceError` and says what is instead."""
    path = Path(text)
    fault = presence.no_file(path, path.suffix)
    if fault is not None:
        raise SourceError(fault[0], hint=fault[1])
    return path


def own_weights(spec: ModelSpec, what: str) -> None:
    """Raise `SourceError` where other weights are wished of a file that holds its own."""
    if spec.weights != "default":
        raise SourceError(
            f"--weights does not apply to {what}, which holds its own",
            hint="leave it out: it gives weights to what a name of a library, hf: or a factory"
            " makes",
            at=("weights",),
        )
