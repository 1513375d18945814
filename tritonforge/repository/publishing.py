"""A stage made visible by one rename: as a new model, as a version, or with the model's folder."""

import shutil
from collections.abc import Collection
from pathlib import Path

from tritonforge.repository.entry import CONFIG, Entry
from tritonforge.repository.stage import Stage
from tritonforge.repository.trade import apart, exchange, fill, trade


def show(
    stage: Stage, entry: Entry, config: str, obsolete: Collection[Path], *, differs: bool
) -> None:
    """Make the staged version visible; `differs` says that the model's folder holds something else.

    What the stage brings beside it replaces what stands there, and what is `obsolete` is gone.
    """
    if not entry.model_dir.exists():
        _complete(stage.path, entry.version, config)
        stage.path.rename(entry.model_dir)
    elif differs or not all(_same(each, entry.model_dir / each.name) for each in stage.extras):
        _replace(stage, entry, config, obsolete)
    elif entry.version_dir.exists():
        exchange(stage.version_dir, entry.version_dir)
    else:
        stage.version_dir.rename(entry.version_dir)


def _replace(stage: Stage, entry: Entry, config: str, obsolete: Collection[Path]) -> None:
    """Trade the model folder for one with the new config and version, and what else it held."""
    model = entry.model_dir.resolve()
    whole = apart(stage.path, model)
    try:
        _complete(whole, entry.version, config)
        fill(whole, model)
        for each in obsolete:
            _remove(whole / each, whole)
        trade(whole, model)
    finally:
        shutil.rmtree(whole, ignore_errors=True)  # the old folder, or what came of a failure


def _remove(path: Path, root: Path) -> None:
    """Remove a file, and the folders below the root that are empty then."""
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == root or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def _complete(folder: Path, version: int, config: str) -> None:
    """Make a model of a stage: its config written, its version under its number."""
    (folder / CONFIG).write_text(config, "utf-8")
    Stage(path=folder).version_dir.rename(folder / str(version))


def _same(one: Path, other: Path) -> bool:
    """Say whether two files hold the same bytes, or all files of a folder are in the other, too."""
    if one.is_dir():
        return all(_same(each, other / each.name) for each in one.iterdir())
    return other.is_file() and one.read_bytes() == other.read_bytes()
