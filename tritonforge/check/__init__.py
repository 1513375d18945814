"""Check: what of a repository would fail or hurt on a release, without a server."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tritonforge import rules
from tritonforge.check import silencing
from tritonforge.check.placing import position
from tritonforge.check.reading import model
from tritonforge.check.reading import models as models_of
from tritonforge.check.report import Finding, Report
from tritonforge.errors import RepositoryError, did_you_mean
from tritonforge.progress import Progress, silent
from tritonforge.release import Release
from tritonforge.repository import CONFIG, Repository
from tritonforge.rules import Found, Model, Models, Rule

__all__ = ["MOST", "Finding", "Report", "check", "select"]


MOST = 100  # findings of a rule in a model: nobody reads more, and each has to be found in its text


def select(repository: Repository, models: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the models to check, by default all; raises `RepositoryError` for what is not there."""
    if not repository.path.is_dir():
        raise RepositoryError(f"no repository {repository.path}", hint="name another -r")
    names = models_of(repository)
    if not names:
        raise RepositoryError(
            f"no models in {repository.path}", hint="each is a folder of it; name another -r"
        )
    for each in models:
        if each not in names:
            raise RepositoryError(
                f"no model {each!r} in {repository.path}",
                hint=did_you_mean(each, names) or f"the models are {', '.join(names)}",
            )
    return tuple(dict.fromkeys(models)) or names


def check(
    repository: Repository,
    *,
    models: Sequence[str] = (),
    target: Release | None = None,
    codes: Collection[str] | None = None,
    cores: int | None = None,
    progress: Progress = silent,
) -> Report:
    """Apply every rule to models of a repository, by default to all.

    Without a target each is judged for the release that it was built for, else the default one.
    What has one of `codes` is told, by default everything, of a rule in a model the first `MOST`.
    `cores` are those of the server. Raises `RepositoryError` where there is nothing to check.
    """
    wanted = select(repository, models)
    names = models_of(repository)
    read = {}
    for number, name in enumerate(names):
        progress(f"reading {name}", number / len(names))
        read[name] = model(repository, name, target)
    found: dict[str, list[Finding]] = {name: [*_of(read[name])] for name in names}
    refused = (name for name in names if any(_is_refused(each) for each in found[name]))
    every = Models(path=repository.path, models=read, refused=frozenset(refused), cores=cores)
    counts: Counter[tuple[str, str]] = Counter()
    for rule, each in rules.broken(rules.OF_REPOSITORIES, every):
        counts[rule.code, each.model] += 1
        if counts[rule.code, each.model] <= MOST:
            found[each.model].append(_finding(rule, read[each.model], each))
    told: list[Finding] = []
    silenced: list[Finding] = []
    for name in wanted:
        left, quiet = _unsilenced(read[name], found[name])
        told += left
        silenced += quiet
    return Report(
        models=wanted,
        releases={name: read[name].release for name in wanted},
        findings=_chosen(told, codes),
        silenced=_chosen(silenced, codes),
    )


def _is_refused(finding: Finding) -> bool:
    return finding.rule.severity == "refused"


def _chosen(findings: list[Finding], codes: Collection[str] | None) -> tuple[Finding, ...]:
    """Return those of some codes, in the order of their places."""
    chosen = (each for each in findings if codes is None or each.rule.code in codes)
    return tuple(sorted(chosen, key=_place))


def _unsilenced(checked: Model, findings: list[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Part what is told from what comments silence, and judge these comments."""
    left, silenced, comments = silencing.part(checked, findings)
    own = [
        _finding(rule, checked, each)
        for rule in rules.OF_COMMENTS
        for each in islice(chain.from_iterable(map(rule.judge, comments)), MOST)
    ]
    told, more, _ = silencing.part(checked, own)
    return [*left, *told], [*silenced, *more]


def _of(checked: Model) -> Iterator[Finding]:
    """Yield what rules of a lone model find.

    What a rule of the config alone refuses at a place is not told again of the file, unless that
    mends it.
    """
    config = checked.config
    own = [] if config is None else [*rules.broken(rules.OF_CONFIGS, config, most=MOST)]
    told = {found.at for rule, found in own if rule.severity == "refused" and found.at}
    for rule, found in rules.broken(rules.OF_MODELS, checked, most=MOST):
        if found.changes or found.at not in told:
            yield _finding(rule, checked, found)
    for rule, found in own:
        yield _finding(rule, checked, found)


def _finding(rule: Rule, checked: Model, found: Found) -> Finding:
    """Say where in which file something was found."""
    line, column = found.line, found.column
    if line is None and found.file is None and checked.config is not None and checked.text:
        line, column = _told(checked, position(checked.text, found.at))
    return Finding(
        rule=rule,
        model=checked.name,
        file=Path(checked.name, found.file or CONFIG),
        line=line,
        column=column,
        found=found,
        written=_written(checked.text, line) if found.file is None else None,
    )


def _told(checked: Model, place: tuple[int, int]) -> tuple[int, int]:
    """Return where the server's log tells of a word that its reader does not know yet."""
    newer = (each.place for each in checked.flaws if each.kind == "newer" and each.at == place)
    return next(newer, place)


def _written(text: str | None, line: int | None) -> str | None:
    """Return a line of a text, None where it has none of that number."""
    if text is None or line is None:
        return None
    lines = text.split("\n")
    return lines[line - 1].rstrip("\r") if 1 <= line <= len(lines) else None


def _place(finding: Finding) -> tuple[Any, ...]:
    """Order by model, file, line and column."""
    at = (finding.line or 0, finding.column or 0)
    return (finding.model, str(finding.file), *at, finding.rule.code)
