"""Changes that mend what a check found: planned, held against what they were to change, written."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tritonforge import pbtxt, rules
from tritonforge.check.clashing import clash, in_order, reaches
from tritonforge.check.report import Finding, Report
from tritonforge.errors import ConfigError, ForgeError, RepositoryError
from tritonforge.pbtxt import strict
from tritonforge.release import Release, find
from tritonforge.repository import CONFIG, Repository
from tritonforge.repository.configs import ConfigFile
from tritonforge.rules import Change, Config

_MOST = 100  # of a file at once: each change reads the whole text


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """A config before and after what was found in it is mended."""

    file: ConfigFile
    before: str
    after: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmended:
    """A finding whose change is not made, and why."""

    finding: Finding
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is changed, a file each, and what is not."""

    mended: tuple[Mended, ...]
    left: tuple[Unmended, ...]


def fix(repository: Repository, judge: Callable[[], Report]) -> tuple[Plan, Report]:
    """Mend what `judge` finds of a repository, under its lock; return what was done and is left.

    Either all files are changed or none.
    """
    with repository.locked():
        planned = plan(repository, judge())
        _write(planned.mended)
    return planned, judge()


def plan(repository: Repository, report: Report) -> Plan:
    """Say what would be changed."""
    mended: list[Mended] = []
    left: list[Unmended] = []
    fixable: dict[str, list[Finding]] = defaultdict(list)
    for each in report.findings:
        if each.is_fixable:
            fixable[each.model].append(each)
    for model, found in fixable.items():
        try:
            file = _file(repository, model)
            before = file.read()
        except ForgeError as error:
            left += (Unmended(finding=each, why=error.message) for each in found)
            continue
        sound, others = _sound(before, found[:_MOST])
        left += others
        left += (Unmended(finding=each, why="there are too many: again") for each in found[_MOST:])
        done, after, others = _together(before, sound, report.releases[model])
        left += others
        if done:
            mended.append(Mended(file=file, before=before, after=after, findings=done))
    return Plan(mended=tuple(mended), left=tuple(left))


def alone(repository: Repository, finding: Finding, release: Release) -> tuple[str, str] | None:
    """Return a config's text before and after one finding is mended, None where that cannot be."""
    try:
        before = _file(repository, finding.model).read()
        return before, _changed(before, [finding], release)
    except ForgeError:
        return None


def _file(repository: Repository, model: str) -> ConfigFile:
    """Return a model's config; raise `RepositoryError` for one that is not ours to change."""
    path = repository.model_dir(model) / CONFIG
    if not path.is_file():
        raise RepositoryError(f"there is no {CONFIG}")
    root, real = repository.path.resolve(), path.resolve()
    if real != root / model / CONFIG:  # it is of another model, or shared
        shown = real.relative_to(root) if real.is_relative_to(root) else real
        raise RepositoryError(
            f"a link leads from here to {str(shown)!r}: mend that file, or write one here"
        )
    return ConfigFile(path=path, model=model, repository=repository)


def _sound(text: str, found: Sequence[Finding]) -> tuple[tuple[Finding, ...], list[Unmended]]:
    """Part what can be mended together from what clashes, or leads nowhere."""
    sound: list[Finding] = []
    left: list[Unmended] = []
    for finding in found:
        rivals = [
            each
            for each in found
            if each is not finding and clash(finding.found.changes, each.found.changes)
        ]
        if rivals:
            codes = ", ".join(dict.fromkeys(each.rule.code for each in rivals))
            left.append(Unmended(finding=finding, why=f"its change clashes with that of {codes}"))
            continue
        try:
            _edited(text, finding.found.changes)
            sound.append(finding)
        except ConfigError as error:
            left.append(Unmended(finding=finding, why=error.message))
    return tuple(sound), left


def _together(
    before: str, found: Sequence[Finding], release: Release
) -> tuple[tuple[Finding, ...], str, list[Unmended]]:
    """Mend what can be: all at once, else halves of it that go with those before them."""
    done: list[Finding] = []
    left: list[Unmended] = []
    after = before
    groups = [[*found]] if found else []
    while groups:
        group = groups.pop()
        try:
            after = _changed(before, [*done, *group], release)
            done += group
        except ConfigError as error:
            if len(group) > 1:
                half = len(group) // 2
                groups += [group[half:], group[:half]]
            else:
                left.append(Unmended(finding=group[0], why=error.message))
    return tuple(done), after, left


def _edited(text: str, changes: Iterable[Change]) -> str:
    """Make changes in a text."""
    for each in in_order(changes):
        if each.value is None:
            text = pbtxt.unset(text, each.path)
        else:
            text = pbtxt.put(text, each.path, each.value)
    return text


def _changed(before: str, findings: Sequence[Finding], release: Release) -> str:
    """Make all changes and read them back; raise `ConfigError` where more than they changed."""
    changes = [change for each in findings for change in each.found.changes]
    after = _edited(before, changes)
    was, now = _judged(before, release.tag), _judged(after, release.tag)
    if was.is_known:
        for each in pbtxt.differences(before, after):
            if not any(reaches(change, each.path) for change in changes):
                raise ConfigError(f"the change would alter {each.path}, too")
        if new := now.refused - was.refused:
            raise ConfigError(f"{release.tag} would then refuse it, by {', '.join(sorted(new))}")
    if new := now.flaws - was.flaws:
        raise ConfigError(f"{release.tag} could then not read it: {'; '.join(sorted(new))}")
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What a release makes of a text: how often which rule refuses it, which flaw keeps it unread.

    Rules judge what can be read to its end.
    """

    is_known: bool
    refused: Counter[str]
    flaws: Counter[str]


@lru_cache(maxsize=2)  # one text is changed in many ways
def _judged(text: str, tag: str) -> _Judged:
    release = find(tag)
    said = strict.read(text.encode(), release.triton)
    known = [Config(message=said.message, release=release)] if said.is_known else []
    found = (pair for each in known for pair in rules.broken(rules.OF_CONFIGS, each))
    return _Judged(
        is_known=said.is_known,
        refused=Counter(rule.code for rule, _ in found if rule.severity == "refused"),
        flaws=Counter(each.said for each in said.flaws if not each.is_taken),
    )


def _write(mended: Sequence[Mended]) -> None:
    """Write all files, or none: those that were written get their old text back."""
    for each in mended:
        if each.file.read() != each.before:
            raise RepositoryError(
                f"{each.file.path} was changed meanwhile", hint="nothing is mended; try again"
            )
    written: list[Mended] = []
    try:
        for each in mended:
            written.append(each)
            each.file.write(each.after)
    except BaseException:
        for each in written:
            if each.file.read() != each.before:
                each.file.write(each.before)
        raise
