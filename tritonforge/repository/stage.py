"""Stages: private folders in which a version is made, where they stand, and their sweep.

A stage stands beside the root, where no server looks. Where no rename leads from there into the
repository (the root is a mount, its parent is read-only, the model is a link to another disk) it
stands inside the model's folder, in which Triton ignores it, or for a new model inside the root.
"""

import fcntl
import os
import re
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_VERSION = "version"
_NAME = re.compile(r"\.[0-9a-f]{12}\.partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A private folder laid out like a model; its version has no number yet."""

    path: Path

    @property
    def version_dir(self) -> Path:
        """Return the folder in which the new version is made."""
        return self.path / _VERSION

    @property
    def extras(self) -> tuple[Path, ...]:
        """Return what it brings beside the version, such as labels."""
        return tuple(each for each in self.path.iterdir() if each != self.version_dir)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files of the extras, those in folders too."""
        found = (each.rglob("*") if each.is_dir() else (each,) for each in self.extras)
        return tuple(sorted(path for paths in found for path in paths if path.is_file()))


def place(root: Path, model: Path) -> Stage:
    """Sweep what dead builds left and choose a stage for `model`; call it under the lock.

    Both paths are resolved. Nothing is there yet, so that whoever ends it can be interrupted from
    here on.
    """
    sweep_all(root, model)
    return Stage(path=_choose(root, model if model.is_dir() else root))


def begin(stage: Stage) -> int | None:
    """Make the folders of a stage under the lock; return what says that its owner lives."""
    stage.path.mkdir(mode=0o755)
    owner = _own(stage.path)
    stage.version_dir.mkdir()
    return owner


def end(stage: Stage, owner: int | None) -> None:
    """Remove what is left of a stage; nothing is where it became the model."""
    if owner is not None:
        os.close(owner)
    shutil.rmtree(stage.path, ignore_errors=True)


def is_stage(path: Path, prefix: str = "") -> bool:
    """Say whether a path bears the name of a stage."""
    name = path.name
    return name.startswith(prefix) and _NAME.fullmatch(name.removeprefix(prefix)) is not None


def sweep_all(root: Path, model: Path) -> None:
    """Sweep every place in which a stage for `model` may stand; call it under the lock."""
    sweep(root.parent, prefix=f".{root.name}")
    for place in {root, model, model.parent}:
        sweep(place)


def sweep(place: Path, prefix: str = "") -> None:
    """Remove stages whose owner has died; a live owner holds the lock of its folder.

    Files and links under such a name last only while the repository is locked, and it is ours now.
    """
    with suppress(OSError):  # no such place, or not ours to read
        for path in place.iterdir():
            if is_stage(path, prefix):
                _remove_dead(path)


def _remove_dead(path: Path) -> None:
    with suppress(OSError):  # another sweep was faster
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        owner = _own(path)
        if owner is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(owner)


def _choose(root: Path, target: Path) -> Path:
    """Return the path of a new stage from which one rename leads into `target`."""
    name = f".{uuid.uuid4().hex[:12]}.partial"
    beside = root.parent / f".{root.name}{name}"
    return beside if _leads(beside, target / name) else target / name


def _leads(here: Path, there: Path) -> bool:
    """Say whether a rename leads from one path to the other, by trying it with an empty file.

    Device numbers do not tell: those of a file system and of a bind mount of it are the same.
    """
    try:
        here.touch(exist_ok=False)
        here.rename(there)
        there.unlink()
    except OSError:
        return False
    finally:
        for path in (here, there):
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return True


def _own(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives; None where that cannot be."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
