"""Trading places: a whole model folder, or one version, changes in a single step.

`renameat2(2)` with RENAME_EXCHANGE swaps two paths; a reader sees the one or the other, never
neither. What is not new comes along as hard links, so a large model is not copied.
"""

import ctypes
import os
import shutil
from pathlib import Path
from typing import NoReturn

from tritonforge.errors import RepositoryError
from tritonforge.repository.stage import is_stage

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def apart(path: Path, model: Path) -> Path:
    """Move a stage out of the folder that is to be traded away; return where it is then."""
    if path.parent != model:
        return path
    try:
        return path.rename(model.parent / path.name)
    except OSError as error:  # the model's folder is a mount of its own
        _refuse(model, error.strerror or str(error))


def fill(whole: Path, model: Path) -> None:
    """Link into `whole` what stands in `model` and is not in `whole` already, folder by folder."""
    for each in model.iterdir():
        there = whole / each.name
        if is_stage(each) or there.is_file():
            continue
        if there.is_dir():
            if not each.name.isdecimal() and each.is_dir():  # a version is replaced whole
                fill(there, each)
        elif each.is_dir() and not each.is_symlink():
            shutil.copytree(each, there, symlinks=True, copy_function=_link)
        else:
            _link(each, there)


def trade(whole: Path, model: Path) -> None:
    """Let `whole` and `model` change places; stages of other builds stay in `model` throughout.

    Each is at its path at every moment: a link in `whole` leads to where it goes with the old
    folder, and then the two change places.
    """
    stages = [each.name for each in model.iterdir() if is_stage(each)]
    for name in stages:
        (whole / name).symlink_to(os.path.relpath(whole / name, model))
    exchange(whole, model)
    for name in stages:
        exchange(whole / name, model / name)


def exchange(one: Path, other: Path) -> None:
    """Swap two paths in one step; raises `RepositoryError` where the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    swapped = libc.renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )
    if swapped != 0:
        _refuse(other, os.strerror(ctypes.get_errno()))


def _link(source: str | Path, target: str | Path) -> None:
    """Hard-link a file, or copy it: behind a link to another disk, where it is another user's."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _refuse(path: Path, reason: str) -> NoReturn:
    raise RepositoryError(
        f"cannot replace {path} in one step: {reason}",
        hint="build under another --name, or remove the model first",
    )
