"""A model repository of links: what a server is shown in place of the real one.

It holds the wanted models alone: Triton takes every folder for a model, hidden ones too. Its path
is one that the Python backend can be given, which starts its processes by an unquoted line for the
shell (python_backend, `stub_launcher.cc`). And in it configs can be changed: for a rehearsal on the
CPU, or for a version that the config's policy leaves out.
"""

import difflib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge import leftovers, pbtxt
from tritonforge.errors import ConfigError, ServerError
from tritonforge.repository import CONFIG, Entry, Repository

# The backend does not read names beyond ASCII as they are written either.
_FOR_A_SHELL = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


class UnreadError(ConfigError):
    """Configs that do not parse; `errors` says why, by model."""

    def __init__(self, errors: Mapping[str, ConfigError]) -> None:
        first = next(iter(errors.values()))
        super().__init__("\n".join(each.message for each in errors.values()), hint=first.hint)
        self.errors = errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The config of a model that is to be served, as it stands and as the server is to see it.

    Both are None where there is none. `rehearsal` says that it asks for what the server lacks.
    """

    entry: Entry
    original: Any
    shown: Any
    rehearsal: bool

    @property
    def difference(self) -> str:
        """Return what is changed as a unified diff; layout and comments are left out of it."""
        before, after = (pbtxt.render(each) for each in (self.original, self.shown))
        path = str(self.entry.config_path)
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), path, "rehearsal on CPU", lineterm=""
        )
        return "\n".join(lines)


def configs(
    repository: Repository, entries: Sequence[Entry], *, rehearse: bool, alone: bool
) -> tuple[Config, ...]:
    """Read the configs of models: changed where they ask for a GPU and `rehearse` forbids one.

    The steps of an ensemble are among them, where the repository has them. With `alone` just these
    versions are to be served, whatever the version policy. Raises `UnreadError` of all that do not
    parse.
    """
    wanted = {entry.model: entry for entry in entries}
    found: dict[str, Config] = {}
    unread: dict[str, ConfigError] = {}
    while missing := [each for name, each in wanted.items() if name not in {*found, *unread}]:
        for entry in missing:
            try:
                config = _config(entry, rehearse=rehearse, alone=alone)
            except ConfigError as error:
                unread[entry.model] = error
                continue
            found[entry.model] = config
            for model in _steps(config):
                if model in repository.models() and repository.versions(model):
                    wanted.setdefault(model, repository.entry(model))
    if unread:
        raise UnreadError(unread)
    return tuple(found.values())


def _steps(config: Config) -> tuple[str, ...]:
    """Name the models that an ensemble consists of."""
    if config.original is None:
        return ()
    return tuple(step.model_name for step in config.original.ensemble_scheduling.step)


def _config(entry: Entry, *, rehearse: bool, alone: bool) -> Config:
    """Read one config."""
    path = entry.config_path
    if not path.is_file():
        return Config(entry=entry, original=None, shown=None, rehearsal=False)
    original = pbtxt.read(path)
    rehearsal = (rehearse and pbtxt.needs_gpu(original)) or pbtxt.needs_openvino(original)
    shown = pbtxt.rehearse(original) if rehearsal else original
    if alone and shown.HasField("version_policy"):
        shown = pbtxt.without_policy(shown)
    return Config(entry=entry, original=original, shown=shown, rehearsal=rehearsal)


def check_names(configs: Sequence[Config]) -> None:
    """Raise `ConfigError` for a name that a shell would take apart, or that is not plain ASCII.

    Triton's Python backend hands the names of models, instances and files to one, unquoted.
    """
    for config in configs:
        names = [("model", config.entry.model)]
        if config.original is not None:
            names += [("instance group", each.name) for each in config.original.instance_group]
            names.append(("model file", config.original.default_model_filename))
        for what, name in names:
            if name and not _FOR_A_SHELL.fullmatch(name):
                raise ConfigError(
                    f"the {what} name {name!r} cannot be served here: Triton's Python backend"
                    " hands it to a shell, unquoted",
                    hint="use letters, digits and _ . - alone, or serve it in the container",
                )


@contextmanager
def mirrored(configs: Sequence[Config], *, alone: bool) -> Iterator[Path]:
    """Lay the mirror out while the block runs; with `alone` other versions are left out.

    A model of which nothing is changed is one link, so that a server sees what becomes of it.
    """
    mirror = Path(tempfile.mkdtemp(prefix=leftovers.mark()))
    try:
        if not _FOR_A_SHELL.fullmatch(str(mirror)):
            raise ServerError(
                f"the temporary folder {str(mirror.parent)!r} cannot be used: Triton's Python"
                " backend hands it to a shell, unquoted",
                hint="set TMPDIR to a folder without spaces and special characters",
            )
        for config in configs:
            _link(config, mirror / config.entry.model, alone=alone)
        yield mirror
    finally:
        shutil.rmtree(mirror, ignore_errors=True)


def _link(config: Config, place: Path, *, alone: bool) -> None:
    """Link a model as a whole, or piece by piece where its config or versions are not all shown."""
    folder = config.entry.model_dir.absolute()
    changed = config.shown is not config.original
    if not (changed or alone):
        place.symlink_to(folder)
        return
    place.mkdir()
    kept = config.entry.version_dir.name
    for original in folder.iterdir():
        # Triton takes `3.partial` for version 3 too
        other = alone and original.name[:1].isdigit() and original.name != kept
        if not other and not (changed and original.name == CONFIG):
            (place / original.name).symlink_to(original)
    if changed:
        (place / CONFIG).write_text(pbtxt.render(config.shown), encoding="utf-8")
