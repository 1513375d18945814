"""Findings as workflow commands, which GitHub shows beside the lines of a change."""

import os

import click

from tritonforge.check import Finding, Report
from tritonforge.check.fixing import Plan
from tritonforge.cli import output
from tritonforge.repository import Repository

_LEVELS = {"refused": "error", "wrong": "error", "advice": "notice"}


def commands(repository: Repository, report: Report, plan: Plan | None) -> None:
    """Print a command a finding that is left; paths are relative to the current folder."""
    del plan
    for each in report.findings:
        click.echo(_command(repository, each))


def _command(repository: Repository, finding: Finding) -> str:
    """Write a finding as a runner reads it: properties, then the message."""
    rule = finding.rule
    properties = {
        "file": os.path.relpath(repository.path / finding.file),
        "line": finding.line,
        "col": finding.character,
        "title": f"{rule.code} {rule.severity}",
    }
    written = ",".join(
        f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None
    )
    message = _data(f"{finding.sentence}. {rule.code}: {rule.remedy}")
    return f"::{_LEVELS[rule.severity]} {written}::{message}"


def _data(text: str) -> str:
    """Escape a message, as the runner's toolkit does; other control characters are written out."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return output.line(escaped)


def _property(text: str) -> str:
    """Escape the value of a property."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
