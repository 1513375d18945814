"""Check: what of a repository would fail or hurt on a release, without a server."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge import rules
from tritonforge.check.placing import position
from tritonforge.check.reading import model
from tritonforge.progress import Progress, silent
from tritonforge.release import Release
from tritonforge.repository import CONFIG, Repository
from tritonforge.rules import Found, Model, Models, Rule, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found, and where: `file` is relative to the repository.

    `line` and `column` count from 1, and are None where the file is no text.
    """

    rule: Rule
    model: str
    file: Path
    line: int | None
    column: int | None
    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was checked, and what was found: in the order of models, files and lines."""

    models: tuple[str, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """Count the findings of a severity."""
        return sum(each.rule.severity == severity for each in self.findings)

    @property
    def passed(self) -> bool:
        """Say whether nothing would be refused or misbehave."""
        return not (self.count("refused") or self.count("wrong"))


def check(
    repository: Repository,
    *,
    models: Sequence[str] = (),
    target: Release | None = None,
    progress: Progress = silent,
) -> Report:
    """Apply every rule to models of a repository, by default to all.

    Without a target each is judged for the release that it was built for, else the default one.
    """
    names = repository.models()
    read = {}
    for number, name in enumerate(names):
        progress(f"reading {name}", number / len(names))
        read[name] = model(repository, name, target)
    wanted = tuple(models) or names
    found = [each for name in wanted for each in _of(read[name])]
    every = Models(path=repository.path, models=read)
    found += [
        _finding(rule, read[each.model], each)
        for rule, each in rules.broken(rules.OF_REPOSITORIES, every)
        if each.model in wanted
    ]
    return Report(models=wanted, findings=tuple(sorted(found, key=_place)))


def _of(checked: Model) -> Iterator[Finding]:
    """Yield what rules of a lone model find."""
    for rule, found in rules.broken(rules.OF_MODELS, checked):
        yield _finding(rule, checked, found)
    if checked.config is not None:
        for rule, found in rules.broken(rules.OF_CONFIGS, checked.config):
            yield _finding(rule, checked, found)


def _finding(rule: Rule, checked: Model, found: Found) -> Finding:
    """Say where in which file something was found."""
    line, column = found.line, found.column
    if line is None and found.file is None and checked.config is not None and checked.text:
        line, column = position(checked.text, found.at)
    file = Path(checked.name, found.file or CONFIG)
    return Finding(rule=rule, model=checked.name, file=file, line=line, column=column, found=found)


def _place(finding: Finding) -> tuple[Any, ...]:
    """Order by model, file, line and column."""
    at = (finding.line or 0, finding.column or 0)
    return (finding.model, str(finding.file), *at, finding.rule.code)
