"""How often a server and the rules agree, and an example of each way in which they do not."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from judging import Verdict
from specimens import Case

from tritonforge.check import Finding
from tritonforge.rules import RULES

_PLACE = re.compile(r" at (\d+):(\d+): ")
_NAMES = re.compile(r"\b[mtfeb]\d+\w*|'[^']*'|\"[^\"]*\"|-?\d+|\[[^\]]*\]|/\S+")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What both said of a case, and why it does not count where it does not."""

    case: Case
    verdict: Verdict
    refusals: tuple[Finding, ...]
    error: str = ""
    excluded: str = ""
    rehearsed: bool = False  # the server was given another text

    @property
    def agrees(self) -> bool:
        """Say whether both refuse it or neither does."""
        return not self.error and (self.verdict.outcome != "loaded") == bool(self.refusals)

    @property
    def place(self) -> tuple[int, int] | None:
        """Return where the server could not read on, None where it read the config."""
        found = None if self.rehearsed else _PLACE.search(self.verdict.said)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def is_placed(self) -> bool:
        """Say whether a rule names that very place."""
        return self.place in {(each.line, each.column) for each in self.refusals}


def report(results: Sequence[Result]) -> str:
    """Write how often both agree, by class, what does not count, and each kind of disagreement."""
    counted = [each for each in results if not each.excluded]
    lines = []
    for outcome in ("refused", "crashed", "loaded"):
        of = [each for each in counted if each.verdict.outcome == outcome]
        lines.append(f"server {outcome}: check agrees in {_share(each.agrees for each in of)}")
    placed = [each.is_placed for each in counted if each.place is not None]
    lines.append(f"syntax: line and column agree in {_share(placed)}")
    rehearsals = sum(each.rehearsed for each in counted)
    lines.append(f"of these {rehearsals} ask for a GPU: rehearsed, and not judged by what is of it")
    reasons = Counter(each.excluded for each in results if each.excluded)
    lines += [f"apart: {count} that {why}" for why, count in sorted(reasons.items())]
    lines.append(_borne_out(counted))
    for title, group in _disagreements(counted).items():
        lines += ["", f"## {len(group)} × {title}", *_examples(group)]
    return "\n".join(lines)


def _share(right: Iterable[bool]) -> str:
    """Write how many of some are right."""
    every = list(right)
    share = f", {sum(every) / len(every):.2%}" if every else ""
    return f"{sum(every)} of {len(every)}{share}"


def _borne_out(counted: Iterable[Result]) -> str:
    """Write which rules a server's refusal has borne out, and which no case was about."""
    known = {rule.code for rule in RULES if rule.severity == "refused"}
    found = {
        finding.rule.code
        for each in counted
        if each.verdict.outcome != "loaded"
        for finding in each.refusals
    }
    missing = ", ".join(sorted(known - found)) or "none"
    return f"rules: {len(found)} of {len(known)} met a refusal; not met: {missing}"


def _disagreements(counted: Iterable[Result]) -> Mapping[str, list[Result]]:
    """Group disagreements by the server's words, or by the codes that it does not bear out."""
    groups = defaultdict[str, list[Result]](list)
    for each in counted:
        if each.error:
            groups[f"check fails: {_NAMES.sub('…', each.error)[:150]}"].append(each)
        elif not each.agrees and each.verdict.outcome != "loaded":
            groups[f"not found: {_NAMES.sub('…', _last(each.verdict.said))[:150]}"].append(each)
        elif not each.agrees:
            codes = ", ".join(sorted({finding.rule.code for finding in each.refusals}))
            groups[f"loads, but {codes}"].append(each)
        elif each.place is not None and not each.is_placed:
            groups[f"placed elsewhere: {_NAMES.sub('…', _last(each.verdict.said))[:150]}"].append(
                each
            )
    return dict(sorted(groups.items(), key=lambda item: -len(item[1])))


def _last(said: str) -> str:
    """Return what of the server's words is about the cause."""
    for before in ("UNAVAILABLE state: ", "Internal: TritonModelException: ", "Invalid argument: "):
        said = said.partition(before)[2] or said
    said = said.partition("config.pbtxt at ")[2] or said
    if "/onnxruntime/core/" in said:  # which names a function and its types before what is wrong
        said = re.sub(r"/onnxruntime_src/\S+ .*?\) (?=[A-Z\[])", "", said)
    return said


def _examples(group: Sequence[Result]) -> Iterator[str]:
    """Describe the simplest of a group whole, and name some others."""
    first, *others = sorted(group, key=lambda each: len(each.case.changes))[:4]
    yield from _example(first)
    for each in others:
        changes = "; ".join(each.case.changes)[:140]
        yield f"    also {each.case.name} ({each.case.base}: {changes})"


def _example(result: Result) -> Iterator[str]:
    """Describe a case."""
    case = result.case
    yield f"    {case.name} = {case.base}: {'; '.join(case.changes) or 'as it is'}"
    yield f"    server: {result.verdict.outcome} {result.verdict.said[-400:]}"
    for each in result.refusals[:4]:
        where = f"{each.line}:{each.column}"
        yield f"    check: {each.rule.code} {each.file}:{where} {each.found.said[:200]}"
    if result.error:
        yield f"    check: {result.error[:300]}"
