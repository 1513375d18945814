"""The model repository on disk: names, versions, locks and atomic publishing.

Triton takes every sub-directory of the root for a model and every number-named folder of a model
for a version, hidden ones of the root included, so nothing unfinished may stand under such a name.
A new model is staged beside the root and appears by one rename; a new version is staged in
`<model>/.<id>.partial`, which Triton ignores, and takes its number by one rename; where the config
changes too, a whole new model folder trades places with the old one (`renameat2(2)`,
RENAME_EXCHANGE). A stage is locked by its owner, so that the next build can tell a dead one and
sweep it.
"""

import ctypes
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tritonforge.errors import RepositoryError
from tritonforge.spec import check_name

CONFIG = "config.pbtxt"
MODEL = "model.onnx"
_LOCK = ".tritonforge.lock"
_STAGED_VERSION = "version"
_STAGE = re.compile(r"\.[0-9a-f]{12}\.partial")
_PATIENCE_SECONDS = 120.0
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version of one model: `<root>/<model>/<version>/`."""

    model: str
    version: int
    model_dir: Path

    @property
    def version_dir(self) -> Path:
        """Return the folder of the version."""
        return self.model_dir / str(self.version)

    @property
    def config_path(self) -> Path:
        """Return the model's `config.pbtxt`."""
        return self.model_dir / CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A private folder laid out like a model; its version has no number yet."""

    path: Path

    @property
    def version_dir(self) -> Path:
        """Return the folder in which the new version is made."""
        return self.path / _STAGED_VERSION


@dataclass(frozen=True, slots=True)
class Repository:
    """A model repository; reading it creates nothing."""

    path: Path

    def models(self) -> tuple[str, ...]:
        """Name the models that Triton would see, sorted, hidden folders left out."""
        if not self.path.is_dir():
            return ()
        found = (each.name for each in self.path.iterdir() if each.is_dir())
        return tuple(sorted(name for name in found if not name.startswith(".")))

    def versions(self, model: str) -> tuple[int, ...]:
        """Return the version numbers of a model, ascending."""
        folder = self.model_dir(model)
        if not folder.is_dir():
            return ()
        names = (each.name for each in folder.iterdir() if each.is_dir())
        return tuple(sorted(int(name) for name in names if _is_version(name)))

    def model_dir(self, model: str) -> Path:
        """Return the folder of a model, which may not exist; raises `SpecError` for a bad name."""
        return self.path / check_name(model)

    def config(self, model: str) -> str | None:
        """Return the text of a model's config, None where there is none."""
        path = self.model_dir(model) / CONFIG
        return path.read_text("utf-8") if path.is_file() else None

    def entry(self, model: str, version: int | None = None) -> Entry:
        """Find a version, the newest by default; a `RepositoryError` names near misses."""
        if model not in self.models():
            near = get_close_matches(model, self.models(), n=1)
            hint = f"did you mean {near[0]!r}?" if near else self._hint()
            raise RepositoryError(f"no model {model!r} in {self.path}", hint=hint)
        versions = self.versions(model)
        if not versions:
            raise RepositoryError(f"model {model!r} has no version", hint="build it again")
        wanted = versions[-1] if version is None else version
        if wanted not in versions:
            listed = ", ".join(map(str, versions))
            raise RepositoryError(f"model {model!r} has no version {wanted}", hint=f"has {listed}")
        return Entry(model=model, version=wanted, model_dir=self.model_dir(model))

    def select(self, models: tuple[str, ...], version: int | None = None) -> tuple[Entry, ...]:
        """Find the named models, or all of them; raises `RepositoryError` where there are none."""
        names = tuple(dict.fromkeys(models)) or self.models()
        if not names:
            raise RepositoryError(f"no models in {self.path}", hint=self._hint())
        return tuple(self.entry(name, version) for name in names)

    def _hint(self) -> str:
        """Say what to do about a repository that lacks the model."""
        if not self.models():
            return "run `tritonforge build resnet50` first, or name another -r"
        return "the models are " + ", ".join(self.models())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the repository against other builds; raises `RepositoryError` after two minutes."""
        from filelock import FileLock, Timeout

        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / _LOCK)
        try:
            with lock.acquire(timeout=_PATIENCE_SECONDS):
                yield
        except Timeout as error:
            raise RepositoryError(
                f"another process has held {lock.lock_file} for {_PATIENCE_SECONDS:.0f} s",
                hint="wait for the other build, or end it",
            ) from error

    @contextmanager
    def staging(self, model: str) -> Iterator[Stage]:
        """Open a stage for a new version of `model`; what is not published is removed."""
        with self.locked():
            folder = self._stage_path(model)
            _sweep(self.path.resolve().parent, prefix=f".{self.path.resolve().name}")
            _sweep(folder.parent)
            folder.mkdir(mode=0o755)
            owner = _own(folder)
        try:
            stage = Stage(path=folder)
            stage.version_dir.mkdir()
            yield stage
        finally:
            if owner is not None:
                os.close(owner)
            shutil.rmtree(folder, ignore_errors=True)  # gone already where it became the model

    def _stage_path(self, model: str) -> Path:
        """Choose where to stage: always on the file system where the rename will happen."""
        name = f".{uuid.uuid4().hex[:12]}.partial"
        existing = self.model_dir(model)
        if existing.is_dir():
            return existing.resolve() / name
        root = self.path.resolve()
        beside = root.parent
        one_device = beside.stat().st_dev == root.stat().st_dev
        if one_device and not root.is_mount() and os.access(beside, os.W_OK):
            return beside / f".{root.name}{name}"
        return root / name

    def next_version(self, model: str) -> int:
        """Return the next free number; call it under the lock."""
        return max(self.versions(model), default=0) + 1

    def publish(
        self, stage: Stage, model: str, *, config: str, version: int, force: bool = False
    ) -> Entry:
        """Make the staged version visible under `config` by one rename; call it under the lock.

        `version` that exists is replaced only with `force`. Raises `RepositoryError`.
        """
        entry = Entry(model=model, version=version, model_dir=self.model_dir(model))
        if entry.version_dir.exists() and not force:
            raise RepositoryError(
                f"version {version} of {model!r} exists",
                hint="leave -x out for the next free number, or replace it with --force",
            )
        if not entry.model_dir.exists():
            (stage.path / CONFIG).write_text(config, "utf-8")
            stage.version_dir.rename(stage.path / str(version))
            stage.path.rename(entry.model_dir)
        elif self.config(model) != config or any(
            not (entry.model_dir / each.name).exists() for each in _extras(stage)
        ):
            self._replace_model(stage, entry, config)
        elif entry.version_dir.exists():
            _exchange(stage.version_dir, entry.version_dir)
        else:
            stage.version_dir.rename(entry.version_dir)
        return entry

    def _replace_model(self, stage: Stage, entry: Entry, config: str) -> None:
        """Trade the model folder for one with the new config and version; the rest is hard-linked.

        What the stage brings beside the version (labels) wins over what stands there.
        """
        whole = self._stage_path(uuid.uuid4().hex)  # not in the model: it is what is traded away
        whole.mkdir(mode=0o755)
        stage.version_dir.rename(whole / str(entry.version))
        (whole / CONFIG).write_text(config, "utf-8")
        for each in _extras(stage):
            each.rename(whole / each.name)
        for each in entry.model_dir.iterdir():
            if _STAGE.fullmatch(each.name) or (whole / each.name).exists():
                continue
            if each.is_dir() and not each.is_symlink():
                shutil.copytree(each, whole / each.name, symlinks=True, copy_function=os.link)
            else:
                os.link(each, whole / each.name, follow_symlinks=False)
        _exchange(whole, entry.model_dir.resolve())
        shutil.rmtree(whole, ignore_errors=True)


def _extras(stage: Stage) -> tuple[Path, ...]:
    """Return what a stage brings beside the version, such as labels."""
    return tuple(each for each in stage.path.iterdir() if each != stage.version_dir)


def _is_version(name: str) -> bool:
    """Say whether Triton and a person read the same positive number."""
    return name.isascii() and name.isdigit() and not name.startswith("0")


def _own(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives; None where the file system cannot."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _sweep(place: Path, prefix: str = "") -> None:
    """Remove stages whose owner has died; a live owner holds the lock of its folder."""
    for folder in place.glob(f"{prefix}.*.partial"):
        if not _STAGE.fullmatch(folder.name.removeprefix(prefix)):
            continue
        with suppress(OSError):
            owner = _own(folder)
            if owner is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(owner)


def _exchange(one: Path, other: Path) -> None:
    """Swap two paths in one step; raises `RepositoryError` where the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    swapped = libc.renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )
    if swapped != 0:
        reason = os.strerror(ctypes.get_errno())
        raise RepositoryError(
            f"cannot replace {other} in one step: {reason}",
            hint="build under another --name, or remove the model first",
        )
