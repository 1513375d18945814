"""Read `tritonforge.toml`, and check every key of it, those of other environments too."""

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge import pbtxt
from tritonforge.errors import SpecError, did_you_mean
from tritonforge.spec import check_name
from tritonforge.specfile.keys import INPUT, KEYS, REPOSITORY
from tritonforge.specfile.lines import At, positions
from tritonforge.specfile.values import check_numbers, domains, fits, parts_of_inputs

FILE = "tritonforge.toml"
_TENSORS = {"inputs": "input", "outputs": "output"}
_FEW = 12  # keys that an error lists
_DEFAULTS, _MODELS, _ENV = "defaults", "models", "env"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """A file of specs that has been checked, and the line of each of its keys."""

    path: Path
    said: Mapping[str, Any]
    lines: Mapping[At, int]

    def repository(self, env: str | None) -> Path | None:
        """Return the model repository that its defaults name, from its own folder on."""
        found = None
        for at in self.tables(None, env):
            found = self.table(at).get(REPOSITORY.name, found)
        return None if found is None else self.path.parent / found

    @property
    def envs(self) -> tuple[str, ...]:
        """Name its environments."""
        return tuple(self.said.get(_ENV, {}))

    def models(self, env: str | None = None) -> tuple[str, ...]:
        """Name its models, in the order of the file; an environment may have more."""
        names = [*self.said.get(_MODELS, {})]
        if env is not None:
            names += self.said[_ENV][env].get(_MODELS, {})
        return tuple(dict.fromkeys(names))

    def check_env(self, env: str | None) -> None:
        """Raise `SpecError` where there is no such environment."""
        if env is not None and env not in self.envs:
            listed = f"it has {', '.join(self.envs)}" if self.envs else "it has none"
            raise SpecError(
                f"{self.path} has no environment {env!r}",
                hint=did_you_mean(env, self.envs) or listed,
            )

    def tables(self, model: str | None, env: str | None) -> Iterator[At]:
        """Yield the tables that speak of a model (None: of any), each above the one before."""
        overlay = () if env is None else (_ENV, env)
        roots: tuple[At, ...] = ((), overlay) if overlay else ((),)
        for last in ((_DEFAULTS,), *(((_MODELS, model),) if model else ())):
            for root in roots:
                yield (*root, *last)

    def table(self, at: At) -> dict[str, Any]:
        """Return a copy of a table of the file, empty where it has none."""
        found: Any = self.said
        for part in at:
            found = found.get(part, {})
        return dict(found)

    def home(self, model: str, env: str | None) -> str:
        """Say where the table of a model stands, or that of the environment alone."""
        tables = [at for at in self.tables(model, env) if at[-2:] == (_MODELS, model)]
        return self.where(next((at for at in tables if at in self.lines), tables[0]))

    def where(self, at: At) -> str:
        """Say where a key stands: the file, and the line of the nearest key that it has."""
        for length in range(len(at), 0, -1):
            if at[:length] in self.lines:
                return f"{self.path}:{self.lines[at[:length]]}"
        return str(self.path)


def read(path: Path) -> SpecFile:
    """Read a file and check it; raises `SpecError` with its line."""
    try:
        text = path.read_bytes().decode("utf-8")
        said = document(text)
        file = SpecFile(path=path, said=said, lines=positions(text))
    except FileNotFoundError as error:
        raise SpecError(f"no file {path}", hint="tritonforge init writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} cannot be read: {error}", hint="save it as TOML") from error
    except SpecError as error:
        raise SpecError(f"{path} {error.message}", hint=error.hint) from error
    try:
        check_numbers(said)
        _check(said)
    except SpecError as error:
        raise located(file, error) from error
    return file


def document(text: str) -> dict[str, Any]:
    """Read a text of TOML; raises `SpecError`, whose message goes on behind what it is of."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"is no TOML: {error}", hint="mend the line") from error
    except RecursionError as error:
        raise SpecError(
            "cannot be read: too many lists or tables lie in each other", hint="write it flatter"
        ) from error
    except ValueError as error:  # Python reads no number that long
        most = sys.get_int_max_str_digits()
        raise SpecError(
            f"cannot be read: a number has more than {most} digits", hint="write a shorter one"
        ) from error


def located(file: SpecFile, error: SpecError, root: At = ()) -> SpecError:
    """Return an error that begins with the file, the line and the key that it is about."""
    at = (*root, *error.at)
    key = ".".join(map(str, at))
    return SpecError(f"{file.where(at)}: {key}: {error.message}", hint=error.hint, at=at)


def split(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a model's table: keys of ours, and fields of ModelConfig (tensors by name)."""
    ours: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for key, value in said.items():
        if key in _TENSORS:
            own = INPUT if key == "inputs" else {}
            if own:
                ours[key] = {
                    name: {k: v for k, v in each.items() if k in own}
                    for name, each in value.items()
                }
            rest = {
                name: {k: v for k, v in each.items() if k not in own}
                for name, each in value.items()
            }
            config[_TENSORS[key]] = {name: each for name, each in rest.items() if each}
        elif key in KEYS:
            ours[key] = value
        else:
            config[key] = value
    return ours, config


def _check(said: Mapping[str, Any]) -> None:
    """Check the tables of a file, and those of each environment."""
    _known(said, (_DEFAULTS, _MODELS, _ENV), ())
    _check_layer(said, ())
    for env, each in _tables(said, _ENV, ()):
        _known(each, (_DEFAULTS, _MODELS), (_ENV, env))
        _check_layer(each, (_ENV, env))


def _check_layer(said: Mapping[str, Any], root: At) -> None:
    """Check the defaults and the models of a file or of an environment."""
    defaults = said.get(_DEFAULTS, {})
    if not isinstance(defaults, Mapping):
        raise SpecError("it takes a table", at=(*root, _DEFAULTS))
    where = {key: value for key, value in defaults.items() if key == REPOSITORY.name}
    for value in where.values():
        fits(value, REPOSITORY.schema, (*root, _DEFAULTS, REPOSITORY.name))
    if "source" in defaults:
        raise SpecError(
            "a source is a model's own", hint="move it there", at=(*root, _DEFAULTS, "source")
        )
    check_model(
        {key: value for key, value in defaults.items() if key not in where}, (*root, _DEFAULTS)
    )
    for name, model in _tables(said, _MODELS, root):
        at = (*root, _MODELS, name)
        with under(*at):
            check_name(name)
        check_model(model, at)


def _tables(said: Mapping[str, Any], key: str, root: At) -> Iterator[tuple[str, Any]]:
    """Yield the tables under a key by name."""
    found = said.get(key, {})
    for name, each in found.items() if isinstance(found, Mapping) else [("", found)]:
        if not isinstance(each, Mapping):
            raise SpecError("it takes a table", at=(*root, key, name) if name else (*root, key))
        yield name, each


def _known(said: Mapping[str, Any], known: tuple[str, ...], root: At) -> None:
    """Refuse a table that is none of ours."""
    for key in said:
        if key not in known:
            raise _no_key(key, known, (*root, key), "table")


def check_model(said: Mapping[str, Any], root: At = ()) -> None:
    """Check the keys of one model's table, whatever else is said of the model."""
    for key in said:
        if key not in KEYS and key not in pbtxt.FIELDS:
            raise _no_key(key, [*KEYS, *pbtxt.FIELDS], (*root, key))
    for key in _TENSORS:
        for name, each in _tables(said, key, root):
            for field in each:
                known = [*(INPUT if key == "inputs" else ()), *pbtxt.TENSOR_FIELDS[key]]
                if field not in known:
                    raise _no_key(field, known, (*root, key, name, field))
    ours, config = split(said)
    for key, value in ours.items():
        fits(value, KEYS[key].schema, (*root, key))
        with under(*root, key):
            if key == "inputs":
                parts_of_inputs(value)
                domains(value)
            else:
                KEYS[key].read(value)
    with under(*root):
        pbtxt.check_wish(config)


def _no_key(key: str, known: Sequence[str], at: At, what: str = "key") -> SpecError:
    """Make the error of a key, or a table, that there is not."""
    listed = "README.md lists the keys" if len(known) > _FEW else f"there are {', '.join(known)}"
    return SpecError(f"there is no {what} {key!r}", hint=did_you_mean(key, known) or listed, at=at)


@contextmanager
def under(*root: str | int) -> Iterator[None]:
    """Put the key under which something was said before that of an error."""
    try:
        yield
    except SpecError as error:
        raise SpecError(error.message, hint=error.hint, at=(*root, *error.at)) from error
