"""Comments in configs that silence what rules find there."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice

from tritonforge import pbtxt, rules
from tritonforge.check.placing import column
from tritonforge.check.report import Finding
from tritonforge.repository import CONFIG
from tritonforge.rules import Comment, Model

_SPEAKS = re.compile(
    r"tritonforge(?:\s*:\s*|\s+(?=ignore\b))(?P<word>[^\s:,]*):?(?P<rest>.*)", re.IGNORECASE
)
_REASON = re.compile(r"\s(--|#).*|\(.*")
_OWN = "SIL"  # rules of the comments themselves, which nothing else finds
_MOST, _MOST_CODES = 1_000, 100  # comments of a config that count, and codes of each

Heard = tuple[int | None, Comment]
"""A comment and the line of which it silences what is found, None for the whole file."""


def part(
    checked: Model, findings: Iterable[Finding]
) -> tuple[list[Finding], list[Finding], tuple[Comment, ...]]:
    """Part what was found of a model from what its config's comments silence; return these, too."""
    heard = [*_heard(checked.text)]
    at_line: dict[int | None, list[int]] = defaultdict(list)
    for number, (line, comment) in enumerate(heard):
        if comment.is_understood:
            at_line[line].append(number)

    @cache
    def named(code: str, line: int | None) -> tuple[tuple[int, str], ...]:
        """Return which comments for a line silence a code, and by which of their own."""
        return tuple(
            (number, each)
            for number in at_line.get(line, ())
            for each in heard[number][1].codes
            if code.startswith(each)
        )

    left: list[Finding] = []
    silenced: list[Finding] = []
    used: set[tuple[int, str]] = set()
    for finding in findings:
        code, line = finding.rule.code, _line(finding)
        by = {*named(code, None), *(() if line is None else named(code, line))}
        (silenced if by else left).append(finding)
        used |= by
    comments = (
        replace(
            comment,
            silenced=frozenset(
                each for each in comment.codes if (number, each) in used or each.startswith(_OWN)
            ),
        )
        for number, (_, comment) in enumerate(heard)
    )
    return left, silenced, tuple(comments)


def _line(finding: Finding) -> int | None:
    """Return the line of the config that a finding is on."""
    in_config = finding.file.name == CONFIG and finding.found.file is None
    return finding.line if in_config else None


def _heard(text: str | None) -> Iterator[Heard]:
    """Yield the comments of a config that speak to tritonforge."""
    if text is None or "tritonforge" not in text.lower():
        return
    lines = text.split("\n")
    known = frozenset(rule.code for rule in rules.RULES)
    found = ((each, _SPEAKS.fullmatch(each.text)) for each in pbtxt.remarks(text))
    spoken = ((remark, match) for remark, match in found if match is not None)
    for remark, match in islice(spoken, _MOST):
        word = match["word"].lower()
        names = re.split(r"[\s,]+", _REASON.sub("", match["rest"]).upper())
        comment = Comment(
            word=word,
            codes=tuple(dict.fromkeys(filter(None, names)))[:_MOST_CODES],
            known=known,
            silenced=frozenset(),
            line=remark.line,
            column=column(lines[remark.line - 1][: remark.column - 1]),
            is_leading=remark.is_leading,
        )
        yield (None if word == "ignore-file" else remark.about), comment
