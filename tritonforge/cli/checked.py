"""How the findings of a check are told: for people, and as JSON."""

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from tritonforge import pbtxt
from tritonforge.check import MOST, Finding, Report
from tritonforge.check.fixing import Plan
from tritonforge.cli import annotated, output, sarif
from tritonforge.cli.excerpt import excerpt
from tritonforge.errors import ConfigError
from tritonforge.repository import Repository
from tritonforge.rules import Severity
from tritonforge.rules.places import several

_SEVERITIES: tuple[Severity, ...] = ("refused", "wrong", "advice")
_COLOURS: Mapping[Severity, str] = {"refused": "red", "wrong": "yellow", "advice": "cyan"}
_MARK = "[*]"  # of a finding that --fix mends, as linters have it
_NARROWEST = 40
_LONGEST = 60  # of a value that a fix writes or replaces
_PIPE = 120  # columns of an excerpt where there is no terminal


def table(repository: Repository, report: Report, plan: Plan | None) -> None:
    """Print what was mended, then each finding with the line that it is about, then the sums."""
    for mended in () if plan is None else plan.mended:
        for each in mended.findings:
            said = f"{each.sentence} ({_edits(mended.before, each)})"
            click.echo(f"fixed {_head(repository, each)}: {output.line(said)}")
    for left in () if plan is None else plan.left:
        click.echo(f"not fixed {_head(repository, left.finding)}: {output.line(left.why)}")
    if plan is not None and (plan.mended or plan.left) and report.findings:
        click.echo()
    for number, (_, findings) in enumerate(groupby(report.findings, lambda each: each.file)):
        if number:
            click.echo()
        for line in _of_file(repository, [*findings]):
            _echo(line)
    if report.findings:
        click.echo()
    for line in _sums(report, plan):
        click.echo(line)


def _edits(before: str, finding: Finding) -> str:
    """Say what a fix wrote in the place of what."""
    return ", ".join(
        f"{each.path}: {_short(_stood(before, each.path))} → {_short(each.value)}"
        for each in finding.found.changes
    )


def _stood(before: str, path: str) -> str | None:
    """Return what a config said somewhere, None for nothing."""
    with suppress(ConfigError):
        return pbtxt.get(before, path)
    return None


def _short(value: str | None) -> str:
    """Write a value as a sentence can hold it."""
    text = "nothing" if value is None else value
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _of_file(repository: Repository, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of a file's findings: those of one place have one excerpt."""
    columns = max(shutil.get_terminal_size().columns, _NARROWEST) if _watched() else None
    for _, group in groupby(findings, lambda each: (each.line, each.column)):
        same = [*group]
        shown = next(filter(None, (excerpt(each, columns or _PIPE) for each in same)), [])
        for each in same:
            said = each.found.said if shown else each.sentence
            yield from _told(_head(repository, each), _styled(each), output.line(said), columns)
        yield from shown


def _head(repository: Repository, finding: Finding) -> str:
    """Return a finding's place, as compilers write it, and its code."""
    return f"{_place(repository, finding)}: {finding.rule.code}"


def _place(repository: Repository, finding: Finding) -> str:
    path = output.harmless(shown_path(repository, finding)).replace("\n", "\\n")
    parts = (path, finding.line, finding.column)
    return ":".join(str(part) for part in parts if part is not None)


def shown_path(repository: Repository, finding: Finding) -> str:
    """Return the path of a file: below the current folder from there, else as it was given."""
    path = repository.path / finding.file
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _styled(finding: Finding) -> str:
    """Return how grave it is, in its colour, and whether --fix mends it."""
    severity = finding.rule.severity
    mark = f" {_MARK}" if finding.is_fixable else ""
    return click.style(severity, fg=_COLOURS[severity], bold=severity == "refused") + mark


def _told(head: str, styled: str, said: str, columns: int | None) -> Iterator[str]:
    """Yield a finding in one line, or on a terminal that is narrower in several."""
    whole = f"{head} {styled}: {said}"
    if columns is None or len(click.unstyle(whole)) <= columns:
        yield whole
    else:
        yield f"{head} {styled}:"
        yield textwrap.fill(said, columns, initial_indent="  ", subsequent_indent="  ")


def _sums(report: Report, plan: Plan | None) -> Iterator[str]:
    """Yield what was looked at and how much was found, and what helps."""
    tags = sorted({release.tag for release in report.releases.values()})
    models = several(len(report.models), "model")
    counts = {kind: report.count(kind) for kind in _SEVERITIES}
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    told = [f"{models} for {', '.join(tags)}: {said or 'nothing found'}"]
    fixed = sum(len(each.findings) for each in plan.mended) if plan is not None else 0
    told += [f"{fixed} fixed"] if fixed else []
    told += [f"{len(report.silenced)} silenced"] if report.silenced else []
    yield "; ".join(told)
    if full := report.full(MOST):
        yield f"{', '.join(full)}: of a model the first {MOST} are told, there may be more"
    if report.fixable and plan is None:
        yield f"{_MARK} {report.fixable} fixable: see --diff, then --fix"
    if report.findings:
        first = report.findings[0].rule.code
        yield f"tritonforge check --explain {first} tells why, and what to do"


def _watched() -> bool:
    """Say whether a person looks at a terminal."""
    return sys.stdout.isatty()


def _echo(line: str) -> None:
    """Print a line, without colours where they are not wanted (https://no-color.org)."""
    click.echo(line, color=False if os.environ.get("NO_COLOR") else None)


def changes(repository: Repository, plan: Plan) -> None:
    """Print what would be changed as a diff that patch(1) takes; what would not, on stderr."""
    for each in plan.mended:
        name = os.path.relpath(each.file.path)
        text = output.unified(each.before, each.after, name)
        click.echo(output.harmless(text) if _watched() else text, nl=False, color=True)
    for left in plan.left:
        output.aside(f"not fixed {_head(repository, left.finding)}: {output.line(left.why)}")
    fixed = sum(len(each.findings) for each in plan.mended)
    output.aside(f"{several(fixed, 'finding')} would be fixed")


def as_json(repository: Repository, report: Report, plan: Plan | None) -> None:
    """Print the report as JSON."""
    counts = {kind: report.count(kind) for kind in _SEVERITIES}
    output.as_json(
        {
            "passed": report.passed,
            "repository": str(repository.path),
            "models": list(report.models),
            "targets": {name: release.tag for name, release in report.releases.items()},
            "counts": {**counts, "silenced": len(report.silenced), "fixable": report.fixable},
            "full": list(report.full(MOST)),
            "failures": [
                {"model": each.model, "code": each.code, "message": each.said}
                for each in report.failures
            ],
            "findings": [_document(each) for each in report.findings],
            "silenced": [_document(each) for each in report.silenced],
            "fixed": [
                _document(each)
                for mended in (() if plan is None else plan.mended)
                for each in mended.findings
            ],
            "not_fixed": [
                {**_document(each.finding), "why": each.why}
                for each in (() if plan is None else plan.left)
            ],
        }
    )


def _document(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON has it."""
    return {
        "code": finding.rule.code,
        "severity": finding.rule.severity,
        "model": finding.model,
        "file": str(finding.file),
        "line": finding.line,
        "column": finding.column,
        "at": finding.found.at,
        "message": finding.found.said,
        "remedy": finding.rule.remedy,
        "changes": [{"path": each.path, "value": each.value} for each in finding.found.changes],
    }


Print = Callable[[Repository, Report, Plan | None], None]
FORMATS: Mapping[str, Print] = {
    "table": table,
    "json": as_json,
    "github": annotated.commands,
    "sarif": sarif.document,
}
