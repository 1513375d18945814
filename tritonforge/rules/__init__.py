"""What makes a server refuse a model, or serve it as nobody meant: one rule a function.

Rules are of a config alone (`config/`), of a model's folder (`folder/`), of all models of a
repository (`across/`) or of the comments that silence others (`comment/`). A code is three letters
of a family and a number, and never changes.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from tritonforge.errors import SpecError, did_you_mean
from tritonforge.rules import across, comment, config, folder
from tritonforge.rules.rule import Change, Found, Rule, Severity
from tritonforge.rules.subjects import (
    Comment,
    Config,
    Content,
    File,
    Labels,
    Model,
    Models,
    Script,
    Unread,
)

__all__ = [
    "OF_COMMENTS",
    "OF_CONFIGS",
    "OF_MODELS",
    "OF_REPOSITORIES",
    "RULES",
    "Change",
    "Comment",
    "Config",
    "Content",
    "File",
    "Found",
    "Labels",
    "Model",
    "Models",
    "Rule",
    "Script",
    "Severity",
    "Unread",
    "broken",
    "find",
    "starting",
]


def _of(families: Iterable[Any]) -> tuple[Rule, ...]:
    """Return the rules of some families, as their modules list them; what they import is not."""
    return tuple(
        each
        for family in families
        for each in vars(family).values()
        if isinstance(each, Rule) and each.judge.__module__ == family.__name__
    )


OF_CONFIGS: tuple[Rule, ...] = _of(config.FAMILIES)
OF_MODELS: tuple[Rule, ...] = _of(folder.FAMILIES)
OF_REPOSITORIES: tuple[Rule, ...] = _of(across.FAMILIES)
OF_COMMENTS: tuple[Rule, ...] = _of(comment.FAMILIES)
RULES: tuple[Rule, ...] = (*OF_CONFIGS, *OF_MODELS, *OF_REPOSITORIES, *OF_COMMENTS)


def broken(
    rules: Iterable[Rule], subject: Any, *, most: int | None = None
) -> Iterator[tuple[Rule, Found]]:
    """Yield what rules find of a subject, in their order; of each the first `most`."""
    for rule in rules:
        for found in islice(rule.judge(subject), most):
            yield rule, found


def find(code: str) -> Rule:
    """Return the rule of a code; raises `SpecError`, which names near misses."""
    known = {rule.code: rule for rule in RULES}
    if code.upper() not in known:
        raise _unknown(code)
    return known[code.upper()]


def starting(prefix: str) -> tuple[Rule, ...]:
    """Return the rules whose codes begin so, by code; raises `SpecError` where there are none."""
    found = [rule for rule in RULES if prefix and rule.code.startswith(prefix.upper())]
    if not found:
        raise _unknown(prefix)
    return tuple(sorted(found, key=lambda rule: rule.code))


def _unknown(code: str) -> SpecError:
    """Return the error of a code that no rule has: its hint names the nearest, or family."""
    codes = [rule.code for rule in RULES]
    near = did_you_mean(code.upper(), [*codes, *{each[:3] for each in codes}])
    return SpecError(f"no rule {code!r}", hint=near or "tritonforge check --explain all lists them")
