"""A folder that is taken for a repository, and is a model's own."""

import shlex
from pathlib import Path

from tritonforge.errors import RepositoryError
from tritonforge.repository import reading
from tritonforge.repository.entry import CONFIG


def mistaken(path: Path) -> RepositoryError | None:
    """Return the error of a model's folder that was named as a repository, None for others."""
    try:
        if not _is_model(path):
            return None
    except OSError:  # one that may not be read: whoever reads it next tells that
        return None
    whole = path.resolve()
    above = path.parent if path.name not in {"", ".."} else whole.parent
    named = f"-r {shlex.quote(str(above))} {shlex.quote(whole.name)}"
    return RepositoryError(
        f"{path} is the folder of a model, and no repository",
        hint=f"name the folder above it, and the model: {named}",
    )


def _is_model(path: Path) -> bool:
    """Say whether a folder holds a config, or versions alone, and no folder that does so, too."""
    held = reading.names(path)
    folders = [each for each in held if each.endswith("/")]
    if CONFIG not in held and not (folders and all(map(_is_version, folders))):
        return False
    inside = [reading.names(path / each) for each in folders]
    if any(each == CONFIG or _is_version(each) for names in inside for each in names):
        return False
    return CONFIG in held or any(not each.endswith("/") for names in inside for each in names)


def _is_version(name: str) -> bool:
    return name.endswith("/") and reading.version_of(name.rstrip("/")) is not None
