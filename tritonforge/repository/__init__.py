"""The model repository on disk: names, versions, locks and atomic publishing.

Triton takes every sub-directory of the root for a model and every number-named folder of a model
for a version, hidden ones of the root included, so nothing unfinished may stand under such a name.
A version is made in a stage and takes its number by one rename; a new model appears by one; where
config or labels change too, a whole new model folder trades places with the old one. A stage is
locked by its owner, so that the next build can tell a dead one and sweep it.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tritonforge.errors import RepositoryError, SpecError, did_you_mean, listed
from tritonforge.repository import publishing
from tritonforge.repository import stage as stages
from tritonforge.repository.entry import CONFIG, MODEL, Entry
from tritonforge.repository.mistaken import mistaken
from tritonforge.repository.stage import Stage
from tritonforge.spec import check_name

__all__ = ["CONFIG", "MODEL", "Entry", "Repository", "Stage"]

_LOCK = ".tritonforge.lock"
_PATIENCE_SECONDS = 120.0


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
        """Return the folder of a model, which may not exist.

        Triton takes more names than `build` gives, so what others built can be read. Raises
        `SpecError` for a name that leads out of the repository or that no model can have.
        """
        if not model or model.startswith(".") or "/" in model or ".." in model:
            raise SpecError(f"{model!r} cannot name a model")
        return self.path / model

    def config(self, model: str) -> str | None:
        """Return the text of a model's config, None where there is none."""
        path = self.model_dir(model) / CONFIG
        try:
            return path.read_text("utf-8") if path.is_file() else None
        except UnicodeDecodeError as error:
            raise RepositoryError(f"{path}: {error}", hint="save it as UTF-8") from error

    def entry(self, model: str, version: int | None = None) -> Entry:
        """Find a version, the newest by default; a `RepositoryError` names near misses."""
        if model not in self.models():
            self._check()
            hint = did_you_mean(model, self.models()) or self._hint()
            raise RepositoryError(f"no model {model!r} in {self.path}", hint=hint)
        versions = self.versions(model)
        if not versions:
            raise RepositoryError(
                f"model {model!r} has no version", hint=self._misnamed(model) or "build it again"
            )
        wanted = versions[-1] if version is None else version
        if wanted not in versions:
            listed = ", ".join(map(str, versions))
            raise RepositoryError(f"model {model!r} has no version {wanted}", hint=f"has {listed}")
        return Entry(model=model, version=wanted, model_dir=self.model_dir(model))

    def select(self, models: tuple[str, ...], version: int | None = None) -> tuple[Entry, ...]:
        """Find the named models, or all that have a version (`unbuilt` names the others).

        Raises `RepositoryError` where there are none.
        """
        every = self.models()
        names = tuple(dict.fromkeys(models)) or tuple(each for each in every if self.versions(each))
        if not names:
            self._check()
        if not names and every:
            hint = self._misnamed(*every) or f"build one of {listed(every)}"
            raise RepositoryError(f"no model in {self.path} has a version", hint=hint)
        if not names:
            raise RepositoryError(f"no models in {self.path}", hint=self._hint())
        return tuple(self.entry(name, version) for name in names)

    def unbuilt(self) -> tuple[str, ...]:
        """Name the models that have no version, such as configs tracked without their files."""
        return tuple(model for model in self.models() if not self.versions(model))

    def has_zero(self, model: str) -> bool:
        """Say whether there is a version 0, which Triton serves and tritonforge does not."""
        return (self.model_dir(model) / "0").is_dir()

    def _misnamed(self, *models: str) -> str | None:
        """Say what to do where a folder that holds a file is not called by a number."""
        for model in models:
            if self.has_zero(model):
                place = self.model_dir(model) / "0"
                return f"tritonforge serves versions from 1 up: rename {place} to 1"
            for path in sorted(self.model_dir(model).glob("*/*.onnx")):
                place = path.parent
                if not (place.name.startswith(".") or _is_version(place.name)):
                    return f"Triton takes numbers for versions, from 1 up: rename {place}"
        return None

    def _check(self) -> None:
        """Raise `RepositoryError` where it is a model's folder, which people name by mistake."""
        if (error := mistaken(self.path)) is not None:
            raise error

    def _hint(self) -> str:
        """Say what to do about a repository that lacks the model."""
        if not self.models():
            return "run `tritonforge build resnet50` first, or name another -r"
        return f"the models are {listed(self.models())}"

    def is_in_use(self) -> bool:
        """Say whether it has been locked before, which is where a build has been."""
        return (self.path / _LOCK).exists()

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
        folder = self.model_dir(check_name(model))
        stage, owner = None, None
        try:
            with self.locked():
                stage = stages.place(self.path.resolve(), folder.resolve())
                owner = stages.begin(stage)
            yield stage
        finally:
            if stage is not None:
                stages.end(stage, owner)

    def sweep(self, model: str) -> None:
        """Remove what killed builds of a model have left; the living keep theirs."""
        if self.is_in_use():
            with self.locked():
                stages.sweep_all(self.path.resolve(), self.model_dir(model).resolve())

    def next_version(self, model: str) -> int:
        """Return the next free number; call it under the lock."""
        return max(self.versions(model), default=0) + 1

    def check_free(self, model: str, version: int) -> None:
        """Raise `RepositoryError` where the version exists."""
        if (self.model_dir(model) / str(version)).exists():
            raise RepositoryError(
                f"version {version} of {model!r} exists",
                hint="leave -x out for the next free number, or replace it with --force",
            )

    def publish(
        self,
        stage: Stage,
        model: str,
        *,
        config: str,
        version: int,
        force: bool = False,
        obsolete: Collection[Path] = (),
    ) -> Entry:
        """Make the staged version visible under `config` by one rename; call it under the lock.

        `version` that exists is replaced only with `force`. What the stage brings beside it
        (labels) replaces what stands there, and the files that are `obsolete`, by relative path,
        are gone with the same rename. Raises `RepositoryError`.
        """
        entry = Entry(model=model, version=version, model_dir=self.model_dir(model))
        if not force:
            self.check_free(model, version)
        differs = bool(obsolete) or self.config(model) != config
        publishing.show(stage, entry, config, obsolete, differs=differs)
        return entry


def _is_version(name: str) -> bool:
    """Say whether Triton and a person read the same positive number."""
    return name.isascii() and name.isdigit() and not name.startswith("0")
