"""Repositories that rules are tried on, and what of them they find: `code at file:place`."""

from pathlib import Path

from tritonforge.check import Report, check
from tritonforge.release import Release
from tritonforge.repository import Repository


def checked(repository: Path, target: Release | None = None) -> Report:
    """Check a repository, in this process: what its files say is the same in one of their own."""
    return check(Repository(repository), target=target, sheltered=False)


def codes(report: Report, model: str) -> list[str]:
    """Return the codes of what was found of a model."""
    return sorted({each.rule.code for each in report.findings if each.model == model})


def refused(report: Report) -> set[str]:
    """Name the models that the server would refuse."""
    return {each.model for each in report.findings if each.rule.severity == "refused"}
