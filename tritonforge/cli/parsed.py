"""Types of options: what a person writes, and how it is read.

Everything heavy is imported when a value is converted, never when help is shown.
"""

from collections.abc import Callable
from typing import Any

import click

from tritonforge.errors import ForgeError, RepositoryError


class Parsed(click.ParamType[Any]):
    """A value read by `read`; a `ForgeError` of it is a usage error that names the option."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self.read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a string; anything else has been read before."""
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except ForgeError as error:
            message = f"{error.message} ({error.hint})" if error.hint else error.message
            self.fail(message, param, ctx)


def _repository(text: str) -> Any:
    from pathlib import Path

    from tritonforge.repository import Repository

    path = Path(text)
    if path.exists() and not path.is_dir():
        raise RepositoryError(f"{text} is a file", hint="name the folder that holds the models")
    return Repository(path)


def _release(text: str) -> Any:
    from tritonforge import release

    return release.find(text)


def _releases(text: str) -> Any:
    from tritonforge import release

    if text != "all":
        return (release.find(text),)
    return tuple(each.release for each in release.images() if each.release is not None)


def _input(text: str) -> Any:
    from tritonforge import spec

    return spec.parse_input(text)


def _range(text: str) -> Any:
    from tritonforge.spec import Range

    return Range.parse(text)


def _domain(text: str) -> Any:
    from tritonforge.spec import Domain

    return Domain.parse(text)


def _size(text: str) -> Any:
    from tritonforge.spec import parse_size

    return parse_size(text)


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, (name.strip() for name in text.split(","))))


def _codes(text: str) -> frozenset[str]:
    from tritonforge import rules
    from tritonforge.errors import SpecError

    names = _names(text)
    if not names:
        raise SpecError("it names no rule", hint="write codes or how they begin, as BAT,ENS2")
    return frozenset(rule.code for each in names for rule in rules.starting(each))


def _path(text: str) -> Any:
    from pathlib import Path

    return Path(text)


def _pair(text: str, mark: str, example: str) -> tuple[str, str]:
    from tritonforge.errors import SpecError

    name, found, value = text.partition(mark)
    if not (name and found and value):
        raise SpecError(f"cannot read {text!r}", hint=f"write {example}")
    return name, value


def _labels(text: str) -> Any:
    name, path = _pair(text, "=", "probs=classes.txt")
    return name, path


def _state(text: str) -> Any:
    return _pair(text, ":", "h0:h1")


def _setting(text: str) -> Any:
    from tritonforge.specfile import setting

    return setting(text)


FILE = Parsed("FILE", _path)
INPUT = Parsed("NAME:DTYPE:DIMS", _input)
RANGE = Parsed("DIM=LOW..HIGH", _range)
DOMAIN = Parsed("NAME=VALUES", _domain)
NAMES = Parsed("NAME,…", _names)
LABELS = Parsed("OUTPUT=FILE", _labels)
STATE = Parsed("INPUT:OUTPUT", _state)
SETTING = Parsed("KEY=VALUE", _setting)
REPOSITORY = Parsed("PATH", _repository)
TARGET = Parsed("TAG", _release)
TARGETS = Parsed("TAG|all", _releases)
CODES = Parsed("CODE,…", _codes)
SIZE = Parsed("DIM=SIZE", _size)
