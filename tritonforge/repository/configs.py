"""The file of a model's config: where it is, and changing it in one step under the lock."""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tritonforge.errors import RepositoryError, SpecError, did_you_mean, listed
from tritonforge.repository import CONFIG, Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """A `config.pbtxt`; `model` is the name that its folder gives, None where that is no model's.

    `repository` is the one that it lies in, None where there is none.
    """

    path: Path
    model: str | None
    repository: Repository | None

    def read(self) -> str:
        """Return its text with the ends of lines that it has."""
        try:
            return self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise RepositoryError(f"{self.path}: {error}", hint="save it as UTF-8") from error

    def write(self, text: str) -> None:
        """Replace its text in one step; call it under the lock.

        What a symlink leads to is replaced, and the link stays. So do the file's mode and, where
        the system lets it be given away, its owner: a server may read it as somebody else.
        """
        path = self.path.resolve(strict=True)
        # A stage's name: what a kill leaves is swept by the next build.
        new = path.parent / f".{uuid.uuid4().hex[:12]}.partial"
        try:
            with new.open("xb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            held = path.stat()
            with suppress(PermissionError):
                os.chown(new, held.st_uid, held.st_gid)
            shutil.copymode(path, new)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the repository, or for a lone file its folder, against others that write."""
        if self.repository is not None:
            with self.repository.locked():
                yield
            return
        folder = os.open(self.path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def find(model: str, repository: Repository) -> ConfigFile:
    """Find the config of a model by its name, or by the path of the file.

    A path has a slash or ends in `.pbtxt`. A model needs no version. Raises `RepositoryError`,
    which names near misses.
    """
    if "/" in model or model.endswith(".pbtxt"):
        return _at(Path(model), repository)
    names = repository.models()
    if model not in names:
        those = f"the models are {listed(names)}" if names else "name another -r"
        raise RepositoryError(
            f"no model {model!r} in {repository.path}",
            hint=did_you_mean(model, names) or those,
        )
    path = repository.model_dir(model) / CONFIG
    if not path.is_file():
        raise RepositoryError(
            f"model {model!r} has no {CONFIG}", hint="Triton makes one up; build the model for one"
        )
    return ConfigFile(path=path, model=model, repository=repository)


def _at(path: Path, given: Repository) -> ConfigFile:
    """Take a path for a config; its folder is a model's where it lies in a repository.

    That is the given one, one in which something was built, or one with a version beside the file.
    """
    if path.is_dir():
        raise RepositoryError(f"{path} is a folder", hint=f"name the file, {path / CONFIG}")
    if not path.is_file():
        raise RepositoryError(f"no file {path}", hint="name a model, or the path of a config.pbtxt")
    folder = path.absolute().parent
    root = Repository(folder.parent)
    is_model = path.name == CONFIG and (
        root.path == given.path.absolute() or root.is_in_use() or _has_versions(root, folder.name)
    )
    if not is_model:
        return ConfigFile(path=path, model=None, repository=None)
    return ConfigFile(path=path, model=folder.name, repository=root)


def _has_versions(root: Repository, model: str) -> bool:
    """Say whether a folder holds versions; one that no model can be called by holds none."""
    try:
        return bool(root.versions(model))
    except SpecError:
        return False
