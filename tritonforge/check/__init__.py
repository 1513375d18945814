"""Check: what of a repository would fail or hurt on a release, without a server."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tritonforge import rules
from tritonforge.check import ahead, silencing
from tritonforge.check.judging import MOST, failure, judged
from tritonforge.check.known import Known
from tritonforge.check.once import once
from tritonforge.check.placing import position
from tritonforge.check.reading import model, unread
from tritonforge.check.reading import models as models_of
from tritonforge.check.report import Failure, Finding, Report
from tritonforge.errors import RepositoryError, did_you_mean, listed
from tritonforge.progress import Progress, silent
from tritonforge.release import Release
from tritonforge.repository import CONFIG, Repository
from tritonforge.repository.mistaken import mistaken
from tritonforge.rules import Found, Model, Models, Rule

_NEW = 20  # files: where so many are not known the others are hardly

__all__ = ["MOST", "Failure", "Finding", "Report", "check", "select"]


def select(repository: Repository, models: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the models to check, by default all; raises `RepositoryError` for what is not there."""
    if not repository.path.is_dir():
        raise RepositoryError(f"no repository {repository.path}", hint="name another -r")
    if (error := mistaken(repository.path)) is not None:
        raise error
    names = models_of(repository)
    if not names:
        raise RepositoryError(
            f"no models in {repository.path}", hint="each is a folder of it; name another -r"
        )
    for each in models:
        if each not in names:
            raise RepositoryError(
                f"no model {each!r} in {repository.path}",
                hint=did_you_mean(each, names) or f"the models are {listed(names)}",
            )
    return tuple(dict.fromkeys(models)) or names


def check(
    repository: Repository,
    *,
    models: Sequence[str] = (),
    target: Release | None = None,
    codes: Collection[str] | None = None,
    cores: int | None = None,
    sheltered: bool = True,
    progress: Progress = silent,
) -> Report:
    """Apply every rule to models of a repository, by default to all.

    Without a target each is judged for the release that it was built for, else the default one.
    What has one of `codes` is told, by default everything, of a rule in a model the first `MOST`.
    `cores` are those of the server. Files are read by a process of their own, which one may end,
    unless not `sheltered`: then by this one, which has run them. Raises `RepositoryError` where
    there is nothing to check.
    """
    wanted = select(repository, models)
    names = models_of(repository)
    failures: list[Failure] = []
    with closing(Known(sheltered=sheltered)) as known:
        read = _read(repository, names, target, known, progress, failures)
    found = {name: [*_of(read[name], failures)] for name in names}
    for finding in _across(repository, read, found, cores, failures):
        found[finding.model].append(finding)
    told: list[Finding] = []
    silenced: list[Finding] = []
    for name in wanted:
        left, quiet = _unsilenced(read[name], found[name], failures)
        told += once(_chosen(left, codes))
        silenced += quiet
    return Report(
        models=wanted,
        releases={name: read[name].release for name in wanted},
        findings=tuple(sorted(told, key=_place)),
        silenced=tuple(sorted(_chosen(silenced, codes), key=_place)),
        failures=tuple(each for each in failures if each.model in {"", *wanted}),
    )


def _read(
    repository: Repository,
    names: Sequence[str],
    target: Release | None,
    known: Known,
    progress: Progress,
    failures: list[Failure],
) -> dict[str, Model]:
    """Read models; one that cannot be for a fault of ours is taken down, and known by name."""
    read: dict[str, Model] = {}
    with ExitStack() as aside:
        alone = True
        for number, name in enumerate(names):
            progress(f"reading {name}", number / len(names))
            if alone and known.new >= _NEW and ahead.pays(len(names) - number):
                alone = False
                aside.enter_context(ahead.reading(repository, target))
            try:
                read[name] = model(repository, name, target, known)
            except Exception as error:  # noqa: BLE001 - the other models are read nonetheless
                failures.append(failure(error, name))
                read[name] = unread(repository, name, target)
    return read


def _across(
    repository: Repository,
    read: Mapping[str, Model],
    found: Mapping[str, Sequence[Finding]],
    cores: int | None,
    failures: list[Failure],
) -> list[Finding]:
    """Judge models together; last by what is refused, alone or that way: others depend on it."""

    def placed(rule: Rule, each: Found) -> Finding:
        return _finding(read[each.model], rule, each)

    every = Models(path=repository.path, models=read, cores=cores)
    first = [each for each in rules.OF_REPOSITORIES if not each.is_last]
    across = [*judged(first, every, "", placed, failures)]
    refused = {name for name, own in found.items() if any(each.is_refused for each in own)}
    refused |= {each.model for each in across if each.is_refused}
    every = replace(every, refused=frozenset(refused))
    last = [each for each in rules.OF_REPOSITORIES if each.is_last]
    return [*across, *judged(last, every, "", placed, failures)]


def _chosen(findings: Sequence[Finding], codes: Collection[str] | None) -> list[Finding]:
    """Return those of some codes."""
    return [each for each in findings if codes is None or each.rule.code in codes]


def _unsilenced(
    checked: Model, findings: list[Finding], failures: list[Failure]
) -> tuple[list[Finding], list[Finding]]:
    """Part what is told from what comments silence, and judge these comments."""
    left, silenced, comments = silencing.part(checked, findings)
    placed = partial(_finding, checked)
    own: list[Finding] = []
    for each in comments:
        own += judged(rules.OF_COMMENTS, each, checked.name, placed, failures)
    told, more, _ = silencing.part(checked, _few(own))
    return [*left, *told], [*silenced, *more]


def _few(findings: list[Finding]) -> Iterator[Finding]:
    """Yield the first `MOST` of each rule."""
    counts: Counter[str] = Counter()
    for each in findings:
        counts[each.rule.code] += 1
        if counts[each.rule.code] <= MOST:
            yield each


def _of(checked: Model, failures: list[Failure]) -> Iterator[Finding]:
    """Yield what rules of a lone model find."""
    placed = partial(_finding, checked)
    yield from judged(rules.OF_MODELS, checked, checked.name, placed, failures)
    if checked.config is not None:
        yield from judged(rules.OF_CONFIGS, checked.config, checked.name, placed, failures)


def _finding(checked: Model, rule: Rule, found: Found) -> Finding:
    """Say where in which file something was found."""
    line, column, begins = found.line, found.column, found.begins
    if line is None and found.file is None and checked.config is not None and checked.text:
        place = position(checked.text, found.at)
        line, column = _told(checked, place)
        begins = place[1] if place[0] == line else None
    return Finding(
        rule=rule,
        model=checked.name,
        file=Path(checked.name, _file(checked) if found.file is None else found.file),
        line=line,
        column=column,
        found=found,
        written=_written(checked.text, line) if found.file is None else None,
        begins=begins,
    )


def _file(checked: Model) -> str:
    """Return the config's name, and for a model without one none: the folder is at fault."""
    return "" if checked.text is None else CONFIG


def _told(checked: Model, place: tuple[int, int]) -> tuple[int, int]:
    """Return where the server's log tells of a word that its reader does not know yet."""
    newer = (each.place for each in checked.flaws if each.kind == "newer" and each.at == place)
    return next(newer, place)


def _written(text: str | None, line: int | None) -> str | None:
    """Return a line of a text, None where it has none of that number."""
    if text is None or line is None:
        return None
    lines = _lines(text)
    return lines[line - 1].rstrip("\r") if 1 <= line <= len(lines) else None


@lru_cache(maxsize=1)  # one text is asked for many lines, one after the other
def _lines(text: str) -> list[str]:
    return text.split("\n")


def _place(finding: Finding) -> tuple[Any, ...]:
    """Order by model, file, line and column."""
    at = (finding.line or 0, finding.column or 0)
    return (finding.model, str(finding.file), *at, finding.rule.code)
