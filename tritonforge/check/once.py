"""Which findings of a model tell a fault that another tells better."""

import re
from collections.abc import Iterable, Sequence

from tritonforge import rules
from tritonforge.check.report import Finding

_OF_CONFIGS = frozenset(rule.code for rule in rules.OF_CONFIGS)
_OF_FILES = frozenset(rule.code for rule in rules.OF_MODELS)
_UNFILLED = "SYN107"  # a template is to be filled in, whatever else a rule of configs makes of it
_FIELD = re.compile(r"\w+")


def once(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return what is found of a model, each fault once.

    What a rule of configs and one of files refuse at a place is told of the file where that mends
    it or names a template's place, else of the config. What only says that something is not as
    proven gives way to a refusal of the same.
    """

    def is_kept(each: Finding) -> bool:
        return each.is_fixable or each.rule.code == _UNFILLED

    alone = _places(each for each in found if each.rule.code in _OF_CONFIGS)
    mended = _places(each for each in found if each.rule.code in _OF_FILES and is_kept(each))

    def is_told_better(each: Finding) -> bool:
        if each.rule.code in _OF_FILES:
            return each.found.at in alone
        return each.is_refused and each.rule.code in _OF_CONFIGS and each.found.at in mended

    told = [each for each in found if is_kept(each) or not is_told_better(each)]
    return tuple(_unechoed(told))


def _places(found: Iterable[Finding]) -> set[str]:
    """Return where something is refused, the whole file aside."""
    return {each.found.at for each in found if each.is_refused and each.found.at}


def _unechoed(found: Sequence[Finding]) -> Iterable[Finding]:
    """Leave out what echoes a refusal of the same field, or of the same file."""
    refused = [each for each in found if each.is_refused]
    fields = {field[0] for each in refused if (field := _FIELD.match(each.found.at))}
    files = {each.file for each in refused if each.found.file is not None}
    for each in found:
        echoes = each.found.at in fields if each.found.at else each.file in files
        if not (each.rule.is_echo and echoes):
            yield each
