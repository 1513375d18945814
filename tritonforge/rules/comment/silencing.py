"""Rules of comments that silence others."""

import re
from collections.abc import Iterator

from tritonforge.errors import did_you_mean
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Comment

_WORDS = ("ignore", "ignore-file")
_BRACKETED = re.compile(r"(?P<word>ignore|ignore-file)[\[(](?P<codes>[^\])]*)")


@rule("SIL301", "advice")
def silences_something(comment: Comment) -> Iterator[Found]:
    """A comment that silences a rule silences something.

    What it was written for has been mended, or stands on another line; left there it would hide
    what comes later. For another release it may still be needed.

    Source: `tritonforge check`, README.
    Remedy: take the code out of the comment, or the comment out.
    """
    if not comment.is_understood:
        return
    for code in comment.codes:
        if _is_known(comment, code) and code not in comment.silenced:
            where = "this file" if comment.word == "ignore-file" else "its line"
            yield _found(comment, f"{code} is found nowhere on {where}: nothing is silenced")


@rule("SIL302", "advice")
def names_codes(comment: Comment) -> Iterator[Found]:
    """A comment that silences rules names them by codes that there are.

    One of another name silences nothing, and what it was meant for is told all the same.

    Source: `tritonforge check`, README.
    Remedy: write the code that stands beside what is to be silenced.
    """
    known = comment.known | {each[:3] for each in comment.known}
    for code in comment.codes if comment.is_understood else ():
        if not _is_known(comment, code):
            near = did_you_mean(code, sorted(known))
            yield _found(comment, f"there is no rule {code!r}{f': {near}' if near else ''}")


@rule("SIL303", "advice")
def is_understood(comment: Comment) -> Iterator[Found]:
    """A comment to tritonforge says `ignore` or `ignore-file`, and codes.

    Another silences nothing. One for the whole file stands before its first field, where a reader
    looks for it.

    Source: `tritonforge check`, README.
    Remedy: write `# tritonforge: ignore BAT101` on the line or alone above it, or
    `# tritonforge: ignore-file BAT101` at the top.
    """
    if comment.word not in _WORDS:
        hint = _as_written(comment)
        yield _found(comment, f"{comment.word!r} means nothing here: {hint}")
    elif not comment.codes:
        yield _found(comment, f"{comment.word!r} names no code, and silences nothing")
    elif not comment.is_understood:
        yield _found(comment, "ignore-file stands below the first field, and silences nothing")


def _as_written(comment: Comment) -> str:
    """Say how a comment is written whose word is none; other tools have codes in brackets."""
    if found := _BRACKETED.match(" ".join((comment.word, *comment.codes))):
        codes = (each.upper() for each in found["codes"].split())
        return f"write {' '.join((found['word'], *codes))}, without brackets"
    return did_you_mean(comment.word, _WORDS) or "write ignore or ignore-file, and codes"


def _is_known(comment: Comment, code: str) -> bool:
    return any(each.startswith(code) for each in comment.known)


def _found(comment: Comment, said: str) -> Found:
    return Found(said=said, line=comment.line, column=comment.column)
