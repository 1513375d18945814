"""Comments in configs that silence what rules find there."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tritonforge import pbtxt, rules
from tritonforge.check.report import Finding
from tritonforge.repository import CONFIG
from tritonforge.rules import Comment, Model

_SPEAKS = re.compile(r"tritonforge\s*:\s*(?P<word>[^\s:,]*):?(?P<rest>.*)", re.IGNORECASE)
_REASON = re.compile(r"\s(--|#).*|\(.*")
_OWN = "SIL"  # rules of the comments themselves, which nothing else finds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Silencer:
    """A comment, and the line of which it silences what is found; None is the whole file."""

    comment: Comment
    line: int | None

    def names(self, finding: Finding) -> tuple[str, ...]:
        """Return those of its codes by which it silences a finding."""
        in_config = finding.file.name == CONFIG and finding.found.file is None
        line = finding.line if in_config else None
        if not self.comment.is_understood or (self.line is not None and self.line != line):
            return ()
        return tuple(each for each in self.comment.codes if finding.rule.code.startswith(each))


def part(
    checked: Model, findings: Iterable[Finding]
) -> tuple[list[Finding], list[Finding], tuple[Comment, ...]]:
    """Part what was found of a model from what its config's comments silence; return these, too."""
    every = _silencers(checked.text)
    used: list[set[str]] = [set() for _ in every]
    left: list[Finding] = []
    silenced: list[Finding] = []
    for finding in findings:
        named = [each.names(finding) for each in every]
        (silenced if any(named) else left).append(finding)
        for codes, names in zip(used, named, strict=True):
            codes.update(names)
    comments = (
        replace(each.comment, silenced=frozenset(codes) | _own(each.comment))
        for each, codes in zip(every, used, strict=True)
    )
    return left, silenced, tuple(comments)


def _own(comment: Comment) -> frozenset[str]:
    """Name those of its codes that are of the comments themselves: they are judged behind it."""
    return frozenset(each for each in comment.codes if each.startswith(_OWN))


def _silencers(text: str | None) -> tuple[_Silencer, ...]:
    """Return the comments of a config that speak to tritonforge."""
    if text is None or "tritonforge" not in text.lower():
        return ()
    found = ((each, _SPEAKS.fullmatch(each.text)) for each in pbtxt.remarks(text))
    return tuple(_silencer(remark, match) for remark, match in found if match is not None)


def _silencer(remark: pbtxt.Remark, match: re.Match[str]) -> _Silencer:
    """Read what a comment asks for."""
    word = match["word"].lower()
    names = re.split(r"[\s,]+", _REASON.sub("", match["rest"]).upper())
    comment = Comment(
        word=word,
        codes=tuple(dict.fromkeys(filter(None, names))),
        known=frozenset(rule.code for rule in rules.RULES),
        silenced=frozenset(),
        line=remark.line,
        column=remark.column,
        is_leading=remark.is_leading,
    )
    return _Silencer(comment=comment, line=None if word == "ignore-file" else remark.about)
