"""What `tritonforge check` says of a model that is about to be published.

Between use cases: the version in its stage is shown to the rules as it will lie in the repository,
by links and copies, so that what would be found a minute later is known before anyone can see it.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonforge import leftovers, rules
from tritonforge.check import check
from tritonforge.check.report import Finding
from tritonforge.errors import ConfigError
from tritonforge.release import Release
from tritonforge.repository import CONFIG, Repository, Stage, reading

_LARGEST = 64 << 20  # bytes of a file that is copied
_OF_CONFIGS = frozenset(rule.code for rule in rules.OF_CONFIGS)


def judge(
    repository: Repository,
    name: str,
    stage: Stage,
    *,
    config: str,
    version: int,
    target: Release,
    told: bool,
    obsolete: Collection[Path] = (),
) -> tuple[str, ...]:
    """Return notes on what would not be as meant; raise `ConfigError` for what would not load.

    `told` says that the rules of configs have judged this one already. `obsolete` are files that
    will be gone, by relative path.
    """
    with _shown(repository, name, stage, config, version, obsolete) as seen:
        report = check(seen, target=target, sheltered=False)
    others = {str(number) for number in repository.versions(name) if number != version}
    found = [
        each
        for each in report.findings
        if not (told and each.rule.code in _OF_CONFIGS)
        and not others.intersection(each.file.parts[1:2])
    ]
    for each in found:
        if each.rule.severity == "refused":
            raise ConfigError(
                f"release {target.tag} would refuse the model: {_line(each)}",
                hint=f"{each.rule.remedy} (tritonforge check --explain {each.rule.code})",
            )
    return tuple(_line(each) for each in found if each.rule.severity == "wrong")


@contextmanager
def _shown(
    repository: Repository,
    name: str,
    stage: Stage,
    config: str,
    version: int,
    obsolete: Collection[Path],
) -> Iterator[Repository]:
    """Lay out a repository that holds the model as it will be."""
    with tempfile.TemporaryDirectory(prefix=leftovers.mark()) as folder:
        seen = Path(folder, name)
        seen.mkdir()
        (seen / CONFIG).write_text(config, "utf-8")
        (seen / str(version)).symlink_to(stage.version_dir.resolve())
        for path in (*stage.extras, *_standing(repository, name, obsolete)):
            if not (seen / path.name).exists():
                _show(path, seen / path.name)
        yield Repository(Path(folder))


def _show(path: Path, at: Path) -> None:
    """Lay out what lies beside the new version, as it would lie in the model's folder.

    Files are copied, for a link would lead out of that; other versions are as they were, and so is
    what is too large for a file of labels.
    """
    target = path.resolve()
    if reading.version_of(path.name) is not None or not _is_own(path):
        at.symlink_to(target)
    elif target.is_dir():
        at.mkdir()
        for each in target.iterdir():
            _show(each, at / each.name)
    elif target.is_file() and target.stat().st_size <= _LARGEST:
        shutil.copyfile(target, at)
    else:
        at.symlink_to(target)


def _is_own(path: Path) -> bool:
    """Say whether no link brings a file from elsewhere."""
    return path.resolve().is_relative_to(path.parent.resolve())


def _standing(repository: Repository, name: str, obsolete: Collection[Path]) -> Iterator[Path]:
    """Yield what is in a model's folder and stays: other versions, and files beside them."""
    folder = repository.model_dir(name)
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.startswith(".") and Path(path.name) not in obsolete:
            yield path


def _line(finding: Finding) -> str:
    """Write a finding in a line."""
    return f"{finding.rule.code} {finding.place}: {finding.sentence}"
