"""Read `tritonforge.toml`, and say where in it each thing stands."""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge.errors import SpecError, did_you_mean
from tritonforge.specfile.checking import DEFAULTS, ENV, MODELS, check
from tritonforge.specfile.keys import REPOSITORY
from tritonforge.specfile.lines import At, faulty, positions
from tritonforge.specfile.values import check_numbers

FILE = "tritonforge.toml"


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
        return tuple(self.said.get(ENV, {}))

    def models(self, env: str | None = None) -> tuple[str, ...]:
        """Name its models, in the order of the file; an environment may have more."""
        names = [*self.said.get(MODELS, {})]
        if env is not None:
            names += self.said[ENV][env].get(MODELS, {})
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
        overlay = () if env is None else (ENV, env)
        roots: tuple[At, ...] = ((), overlay) if overlay else ((),)
        for last in ((DEFAULTS,), *(((MODELS, model),) if model else ())):
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
        tables = [at for at in self.tables(model, env) if at[-2:] == (MODELS, model)]
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
        text = path.read_bytes().decode("utf-8-sig")  # many editors on Windows write the mark
        said = document(text)
        file = SpecFile(path=path, said=said, lines=positions(text))
    except FileNotFoundError as error:
        raise SpecError(f"no file {path}", hint="tritonforge init writes one") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise SpecError(
            f"{path}:{line}: the byte 0x{byte:02x} is not UTF-8", hint="save it as UTF-8"
        ) from error
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error}", hint="save it as TOML") from error
    except SpecError as error:
        if isinstance(error.__cause__, tomllib.TOMLDecodeError):
            fault, line = faulty(error.__cause__, text)
            raise SpecError(f"{path}:{line}: this is no TOML: {fault}", hint=error.hint) from error
        raise SpecError(f"{path} {error.message}", hint=error.hint) from error
    try:
        check_numbers(said)
        check(said)
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
