"""What `tritonforge check --explain` tells of rules."""

import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

import click

from tritonforge import rules
from tritonforge.cli import output
from tritonforge.rules import Rule

_WIDEST = 88  # columns in which a paragraph reads well


def explain(code: str, output_format: str) -> None:
    """Print one rule, those of a family, several between commas, or all of them."""
    chosen = _chosen(code)
    whole = len(chosen) == 1 and len(code) == len(rules.RULES[0].code)
    if output_format == "json":
        output.as_json({"rules": [_document(each) for each in chosen]})
    elif whole:
        _tell(chosen[0])
    else:
        rows = [(each.code, each.severity, each.title) for each in chosen]
        output.table(("code", "severity", "what holds"), rows, left=3, wrap=True)


def _chosen(code: str) -> Sequence[Rule]:
    """Return the rules of a code, a family or several of them, by code."""
    if code.lower() == "all":
        return sorted(rules.RULES, key=lambda rule: rule.code)
    named = [each.strip() for each in code.split(",")]
    length = len(rules.RULES[0].code)
    found = [(rules.find(each),) if len(each) == length else rules.starting(each) for each in named]
    return sorted({each.code: each for some in found for each in some}.values(), key=_code)


def _code(rule: Rule) -> str:
    return rule.code


def _tell(rule: Rule) -> None:
    """Print a rule in paragraphs."""
    columns = min(shutil.get_terminal_size().columns, _WIDEST)
    meant = {
        "refused": "the server does not load it, or fails every request",
        "wrong": "it loads, and does not do what was meant",
        "advice": "it works, and could be better",
    }
    click.echo(f"{rule.code} {rule.severity}: {meant[rule.severity]}\n")
    for text in (f"{rule.title}.", rule.reason, f"Remedy: {rule.remedy}", f"Source: {rule.source}"):
        click.echo(textwrap.fill(text, columns, break_on_hyphens=False, break_long_words=False))
        if not text.startswith("Remedy"):
            click.echo()


def _document(rule: Rule) -> dict[str, Any]:
    """Return a rule as JSON has it."""
    return {
        "code": rule.code,
        "severity": rule.severity,
        "title": rule.title,
        "reason": rule.reason,
        "source": rule.source,
        "remedy": rule.remedy,
    }
