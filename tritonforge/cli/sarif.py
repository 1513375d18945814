"""Findings as SARIF 2.1.0, the format in which analysers tell what they found."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from tritonforge import __version__, rules
from tritonforge.check import Finding, Report, fixing
from tritonforge.check.fixing import Plan
from tritonforge.cli import output
from tritonforge.release import Release
from tritonforge.repository import CONFIG, Repository
from tritonforge.rules import Rule

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_BASE = "%SRCROOT%"
_LEVELS = {"refused": "error", "wrong": "error", "advice": "note"}
_PROBLEMS = {"refused": "error", "wrong": "warning", "advice": "recommendation"}
_ORDERED = sorted(rules.RULES, key=lambda rule: rule.code)
_INDEXES = {rule.code: index for index, rule in enumerate(_ORDERED)}


def document(repository: Repository, report: Report, plan: Plan | None) -> None:
    """Print the findings that are left as one run.

    Paths are relative to the current folder, or to the repository where that is not below it.
    What comments silence is left out: some readers show it all the same.
    """
    del plan
    base = _base(repository)
    driver = {
        "name": "tritonforge",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(each) for each in _ORDERED],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True}],
        "originalUriBaseIds": {_BASE: {"uri": f"file://{_quoted(base).rstrip('/')}/"}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(repository, base, report, each) for each in report.findings],
    }
    output.as_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _base(repository: Repository) -> Path:
    """Return the folder from which paths are told."""
    here, there = Path.cwd(), repository.path.resolve()
    return here if there.is_relative_to(here) else there


def _quoted(path: Path | str) -> str:
    """Write a path as a URI has it, whatever bytes it consists of."""
    return quote_from_bytes(os.fsencode(path))


def _rule(rule: Rule) -> dict[str, Any]:
    """Return what is told of a rule."""
    return {
        "id": rule.code,
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.reason},
        "help": {"text": f"Remedy: {rule.remedy} Source: {rule.source}"},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {
            "tags": [rule.code[:3], rule.severity],
            "problem.severity": _PROBLEMS[rule.severity],
        },
    }


def _result(repository: Repository, base: Path, report: Report, finding: Finding) -> dict[str, Any]:
    """Return a finding: where it is, and how it is mended where that is known."""
    code = finding.rule.code
    result = {
        "ruleId": code,
        "ruleIndex": _INDEXES[code],
        "level": _LEVELS[finding.rule.severity],
        "message": {"text": f"{output.line(finding.sentence)}."},
        "locations": [_location(repository, base, finding)],
    }
    fix = _fix(repository, base, report.releases[finding.model], finding)
    return result if fix is None else {**result, "fixes": [fix]}


def _artifact(repository: Repository, base: Path, file: Path) -> dict[str, str]:
    """Return where a file of the repository is."""
    path = os.path.relpath(repository.path.resolve() / file, base)
    return {"uri": _quoted(path), "uriBaseId": _BASE}


def _location(repository: Repository, base: Path, finding: Finding) -> dict[str, Any]:
    """Return a place: the file, the line and column where it is text, and the model."""
    place: dict[str, Any] = {"artifactLocation": _artifact(repository, base, finding.file)}
    if finding.line is not None:
        column = {} if finding.character is None else {"startColumn": finding.character}
        place["region"] = {"startLine": finding.line, **column}
    logical = {"name": output.line(finding.model), "kind": "module"}
    if finding.found.at:
        name = f"{finding.model}.{finding.found.at}"
        logical["fullyQualifiedName"] = output.line(name)
    return {"physicalLocation": place, "logicalLocations": [logical]}


def _fix(
    repository: Repository, base: Path, release: Release, finding: Finding
) -> dict[str, Any] | None:
    """Return the change of the config that mends it, None where there is none."""
    texts = fixing.alone(repository, finding, release) if finding.is_fixable else None
    if texts is None or texts[0] == texts[1]:
        return None
    before, after = texts
    start = _common(before, after)
    end = len(before) - _common(before[start:][::-1], after[start:][::-1])
    inserted = after[start : len(after) - (len(before) - end)]
    region = {**_point(before, start, "start"), **_point(before, end, "end")}
    change = {"deletedRegion": region, "insertedContent": {"text": inserted}}
    file = _artifact(repository, base, Path(finding.model, CONFIG))
    return {
        "description": {"text": finding.rule.remedy},
        "artifactChanges": [{"artifactLocation": file, "replacements": [change]}],
    }


def _common(one: str, other: str) -> int:
    """Return how many signs two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _point(text: str, at: int, which: str) -> dict[str, int]:
    """Return line and column of a place, from 1."""
    line = text.count("\n", 0, at) + 1
    return {f"{which}Line": line, f"{which}Column": at - (text.rfind("\n", 0, at) + 1) + 1}
