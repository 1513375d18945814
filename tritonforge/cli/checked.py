"""How the findings of a check are printed."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from tritonforge.check import Finding, Report
from tritonforge.cli import output


def _table(report: Report) -> None:
    """Print a line each, and how many there are."""
    for each in report.findings:
        rule = each.rule
        click.echo(f"{_place(each)}: {rule.code} {rule.severity}: {each.found.said}")
    counts = {kind: report.count(kind) for kind in ("refused", "wrong", "advice")}
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    click.echo(f"{len(report.models)} models: {said or 'nothing found'}")


def _place(finding: Finding) -> str:
    """Write a place as compilers do."""
    parts = (finding.file, finding.line, finding.column)
    return ":".join(str(part) for part in parts if part is not None)


def _json(report: Report) -> None:
    """Print the findings as JSON."""
    output.as_json(
        {"models": list(report.models), "findings": [_document(each) for each in report.findings]}
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
        "message": finding.found.said,
    }


FORMATS: Mapping[str, Callable[[Report], None]] = {"table": _table, "json": _json}
