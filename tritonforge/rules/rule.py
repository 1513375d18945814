"""What a rule is, and what it finds."""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["refused", "wrong", "advice"]
_SECTIONS = re.compile(r"^(Source|Remedy): ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An edit of a config: `path` gets `value`, written as in the file; None takes it out."""

    path: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule found, in a sentence without an end.

    `at` is its place in the config, such as `input[x].dims[1]`: entries bear their name, or their
    number where names do not tell them apart. Empty is the whole file. `file` is another file or
    folder that it is about, relative to the model's folder, `line` and `column` count from 1 where
    they are known already; `begins` is the column of the word that is at fault, where the server
    tells of what is behind it. `changes` mend it without changing what a person meant. `model` is
    named where the subject is more than one.
    """

    said: str
    at: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    begins: int | None = None
    changes: tuple[Change, ...] = ()
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule: its code, how grave what it finds is, and the function that judges a subject.

    The function's docstring is what a person is told of the rule: its first line says what holds,
    the next paragraph why; `Source:` names where that is written, `Remedy:` what to do.

    `refused` keeps the server from loading the model, `wrong` loads and is not what was
    meant, `advice` works and could be better. One that `is_lone` is of its value alone, whatever
    else is set; one that `is_lasting` is of every release and of whichever backend serves; one that
    `is_last` is of what the others refuse, and judged behind them. One that `is_echo` says of a
    field or a file that it is another than was proven, which a refusal of that says better.
    """

    code: str
    severity: Severity
    judge: Callable[[Any], Iterable[Found]]
    is_lone: bool = False
    is_lasting: bool = False
    is_last: bool = False
    is_echo: bool = False

    @property
    def title(self) -> str:
        """Return what holds, in a line."""
        return self._parts()[0].partition("\n")[0].removesuffix(".")

    @property
    def reason(self) -> str:
        """Return why it matters."""
        return _flowed(self._parts()[0].partition("\n")[2])

    @property
    def source(self) -> str:
        """Return where it is written."""
        return _flowed(self._section("Source"))

    @property
    def remedy(self) -> str:
        """Return what to do."""
        return _flowed(self._section("Remedy"))

    def _section(self, name: str) -> str:
        parts = self._parts()
        return parts[parts.index(name) + 1] if name in parts else ""

    def _parts(self) -> list[str]:
        """Return the text before the sections, then each section's name and its text."""
        return _SECTIONS.split(inspect.getdoc(self.judge) or "")


def rule(
    code: str,
    severity: Severity,
    *,
    is_lone: bool = False,
    is_lasting: bool = False,
    is_last: bool = False,
    is_echo: bool = False,
) -> Callable[[Callable[[Any], Iterable[Found]]], Rule]:
    """Make a rule of a function, in its place."""

    def made(judge: Callable[[Any], Iterable[Found]]) -> Rule:
        return Rule(
            code=code,
            severity=severity,
            judge=judge,
            is_lone=is_lone,
            is_lasting=is_lasting,
            is_last=is_last,
            is_echo=is_echo,
        )

    return made


def _flowed(text: str) -> str:
    """Join the lines of a paragraph."""
    return " ".join(text.split())
