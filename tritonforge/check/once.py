"""Which findings of a model tell a fault that another tells better."""

import re
from collections.abc import Iterable, Sequence

from tritonforge.check.report import Finding

_FIELD = re.compile(r"\w+")


def once(own: Sequence[Finding], files: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return what is found of a config alone, and of it beside its files, each fault once.

    What both refuse at a place is told of the file where that mends it, else of the config. What
    only says that something is not as proven gives way to an error of the same.
    """
    refused = {each.found.at for each in own if each.is_refused and each.found.at}
    files = [each for each in files if each.is_fixable or each.found.at not in refused]
    mended = {each.found.at for each in files if each.is_refused and each.is_fixable}
    own = [
        each for each in own if each.is_fixable or not (each.is_refused and each.found.at in mended)
    ]
    return tuple(_unechoed([*files, *own]))


def _unechoed(found: Sequence[Finding]) -> Iterable[Finding]:
    """Leave out what echoes an error of the same field, or of the same file."""
    errors = [each for each in found if each.rule.severity != "advice" and not each.rule.is_echo]
    fields = {field[0] for each in errors if (field := _FIELD.match(each.found.at))}
    files = {each.file for each in errors if each.found.file is not None and each.is_refused}
    for each in found:
        echoes = each.found.at in fields if each.found.at else each.file in files
        if not (each.rule.is_echo and echoes):
            yield each
