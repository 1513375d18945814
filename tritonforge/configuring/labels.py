"""Names of classes, in files beside the config that the server reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tritonforge.errors import SpecError
from tritonforge.repository import Stage
from tritonforge.spec import ModelSpec, valid_name
from tritonforge.tensors import Signature

_FILE = "labels.txt"


def write(
    stage: Stage, spec: ModelSpec, classes: Sequence[str], signature: Signature
) -> Mapping[str, str]:
    """Write the names of classes beside the config; return the file of each output.

    Those that the spec names; without any those that the source knows, where they fit the first
    output. Raises `SpecError` for a file that is missing, empty, or does not fit its output.
    """
    if spec.labels:
        return {
            name: _copied(stage, number, name, path, signature, spec)
            for number, (name, path) in enumerate(spec.labels)
        }
    first = signature.outputs[0]
    if not classes or not first.dims or first.dims[-1] != len(classes):
        return {}
    (stage.path / _FILE).write_text("\n".join(classes) + "\n", "utf-8")
    return {first.name: _FILE}


def read(name: str, path: Path) -> str:
    """Read the file of an output's names; raises `SpecError`."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(
            f"the labels {path} cannot be read: {reason}",
            hint="give a file, one class a line",
            at=("labels", name),
        ) from error


def _copied(
    stage: Stage, number: int, name: str, path: Path, signature: Signature, spec: ModelSpec
) -> str:
    """Copy one file of names; return what it is called."""
    outputs = {each.name: each for each in signature.outputs}
    if name not in outputs:
        raise SpecError(
            f"labels are given for the output {name!r}, which the model does not have",
            hint=f"it has {', '.join(outputs)}",
            at=("labels", name),
        )
    text = read(name, path)
    count, dims = len(text.splitlines()), outputs[name].dims
    if not count or (dims and isinstance(dims[-1], int) and dims[-1] != count):
        raise SpecError(
            f"{path} names {count} class{'es' * (count != 1)}, and the output {outputs[name]} has"
            f" {dims[-1] if dims else 1}",
            hint="write one class a line",
            at=("labels", name),
        )
    file = _FILE if len(spec.labels) == 1 else f"labels-{number}-{valid_name(name)}.txt"
    (stage.path / file).write_text(text, "utf-8")
    return file
