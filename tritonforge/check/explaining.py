"""Why a server does not load models, by the rules that they break."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from tritonforge.check import check
from tritonforge.check.report import Finding
from tritonforge.errors import ForgeError
from tritonforge.release import Release
from tritonforge.repository import Repository

_MOST = 3  # of a model: what the server said stands before it


def explain(
    repository: Repository, models: Sequence[str], release: Release | None
) -> tuple[str, ...]:
    """Return a line for each reason that rules know, with its code, place and remedy.

    It adds to what the server said: a repository of which rules can tell nothing has no lines.
    """
    found: list[Finding] = []
    with suppress(ForgeError):
        known = [each for each in models if each in repository.models()]
        report = check(repository, models=known, target=release)
        found += (*report.findings, *report.silenced)
    refused = [each for each in found if each.is_refused]
    return tuple(line for model in models for line in _lines(model, refused))


def _lines(model: str, refused: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of a model: the first few reasons, and how many more there are."""
    own = [each for each in refused if each.model == model]
    for each in own[:_MOST]:
        end = "" if each.sentence.endswith("?") else "."
        remedy = each.rule.remedy[:1].upper() + each.rule.remedy[1:]
        yield f"{each.rule.code} {each.place}: {each.sentence}{end} {remedy}"
    if len(own) > _MOST:
        yield f"{model}: {len(own) - _MOST} more, which tritonforge check tells"
