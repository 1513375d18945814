"""What a check tells: findings with their places, and the whole of them."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tritonforge.pbtxt import strict
from tritonforge.release import Release
from tritonforge.rules import Found, Rule, Severity

_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found, and where: `file` is relative to the repository.

    `line` and `column` count from 1, as the server's log counts them, and are None where the file
    is no text; `begins` is the column of the word at fault where the server tells what is behind
    it. `written` is the line of the config, None where the place is in another file.
    """

    rule: Rule
    model: str
    file: Path
    line: int | None
    column: int | None
    found: Found
    written: str | None = None
    begins: int | None = None

    @property
    def place(self) -> str:
        """Return the file, and line and column where it is text, as compilers write them."""
        parts = (self.file, self.line, self.column)
        return ":".join(str(part) for part in parts if part is not None)

    @property
    def sentence(self) -> str:
        """Return what was found as it can be read without the config: with the field it is of."""
        said, at = self.found.said.removesuffix("."), self.found.at
        names = _NAME.findall(at.removesuffix(".name"))  # of what bears the name
        return said if not names or names[-1] in said else f"{at}: {said}"

    @property
    def character(self) -> int | None:
        """Return where the word at fault begins, in characters from 1.

        The server counts bytes, and tabs to eight.
        """
        column = self.column if self.begins is None else self.begins
        if self.written is None or column is None:
            return column
        return strict.character(self.written, column)

    @property
    def is_refused(self) -> bool:
        """Say whether it keeps the server from loading the model."""
        return self.rule.severity == "refused"

    @property
    def is_fixable(self) -> bool:
        """Say whether there is a change that mends it."""
        return bool(self.found.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What could not be judged, for a fault of tritonforge's own: a rule of a model, or all of it.

    `code` is None where the model could not be read, `model` is empty where it was of several.
    """

    model: str
    code: str | None
    said: str

    @property
    def sentence(self) -> str:
        """Say what is missing from the findings, and why."""
        of = f"model {self.model!r}" if self.model else "the repository"
        what = f"{self.code} could not judge {of}" if self.code else f"{of} could not be read"
        return f"{what}: {self.said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was checked, and what was found: in the order of models, files and lines.

    `releases` are those that the models were judged for, `silenced` what comments in configs keep
    from being told, `failures` what could not be judged.
    """

    models: tuple[str, ...]
    releases: Mapping[str, Release]
    findings: tuple[Finding, ...]
    silenced: tuple[Finding, ...]
    failures: tuple[Failure, ...] = ()

    def count(self, severity: Severity) -> int:
        """Count the findings of a severity."""
        return sum(each.rule.severity == severity for each in self.findings)

    def full(self, most: int) -> tuple[str, ...]:
        """Name the codes of which a model has so many findings that there may be more."""
        every = Counter((each.model, each.rule.code) for each in (*self.findings, *self.silenced))
        return tuple(sorted({code for (_, code), count in every.items() if count >= most}))

    @property
    def fixable(self) -> int:
        """Count the findings that a change mends."""
        return sum(each.is_fixable for each in self.findings)

    @property
    def passed(self) -> bool:
        """Say whether nothing would be refused or misbehave, and all was judged."""
        return not (self.failures or self.count("refused") or self.count("wrong"))
