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
    """Print one rule, those of a family, or all of them."""
    whole = len(code) == len(rules.RULES[0].code)
    if code.lower() == "all":
        chosen: Sequence[Rule] = sorted(rules.RULES, key=lambda rule: rule.code)
    else:
        chosen = (rules.find(code),) if whole else rules.starting(code)
    if output_format == "json":
        output.as_json({"rules": [_document(each) for each in chosen]})
    elif whole:
        _tell(chosen[0])
    else:
        rows = [(each.code, each.severity, each.title) for each in chosen]
        output.table(("code", "severity", "what holds"), rows, left=3, wrap=True)


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
