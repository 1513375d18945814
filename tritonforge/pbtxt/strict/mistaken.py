"""What lies in the place of a config at times: another file, or one that is not merged yet."""

import re
from collections.abc import Sequence
from dataclasses import replace

from tritonforge import presence
from tritonforge.pbtxt.strict.flaw import Flaw

_JSON = re.compile(rb'\s*\{\s*"')
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_MARKS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")


def named(text: bytes, flaws: Sequence[Flaw]) -> tuple[Flaw, ...]:
    """Return the flaws of a text; one in place of all where they come of what the file is."""
    if not flaws or (said := _said(text, flaws[0])) is None:
        return tuple(flaws)
    return (replace(flaws[0], kind="broken", said=said, edits=()),)


def _said(text: bytes, first: Flaw) -> str | None:
    """Say what a text is in which this flaw comes first, None for a config like others."""
    if text.startswith(presence.POINTER):
        return "it is a pointer of Git LFS, not the config: run `git lfs pull`"
    if text.startswith(_WIDE):
        return "it is UTF-16, as PowerShell writes it: save it as UTF-8"
    if presence.PAGE.match(text):
        return "it is a page of HTML or XML, not the config: download it again"
    if _JSON.match(text):
        return (
            "it is JSON, and a config is protobuf's text: no braces around it, no quotes at names"
        )
    line = text.split(b"\n", first.at[0])[first.at[0] - 1]
    marks = [each for each in _MARKS if re.match(re.escape(each) + rb"(?:\s|$)", line)]
    if marks:
        return f"Git left the mark of a conflict, {marks[0].decode()}: choose what is to stay"
    return None
