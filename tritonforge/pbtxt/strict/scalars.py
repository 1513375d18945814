"""Values that are no messages, as the server's reader takes them for a field.

Source: protobuf, `text_format.cc` (ConsumeFieldValue) and `io/tokenizer.cc` (ParseInteger).
"""

import re
from collections.abc import Callable
from typing import Any

from tritonforge.pbtxt.strict import guesses, literals
from tritonforge.pbtxt.strict.cursor import Cursor
from tritonforge.pbtxt.strict.known import Known, came, late, named

NONE: Any = object()  # no value: it is flawed

_BOUNDS = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_BOOLEANS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}
_MEANT = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_WANTED = {"string": "a string in quotes", "bool": "true or false", "real": "a number"}
_BEHIND = re.compile(rb"[ \t]*([:{\[])")  # what follows a field's name, and no value
_FEW = 8  # names that are listed
_LONGEST = 64  # of what may stand for a name


def scalar(cursor: Cursor, field: Known, path: str | None, triton: str | None) -> Any:
    """Read one value of a field; `NONE` where it is not one of the field's."""
    if _is_missing(cursor, field):
        return NONE
    if field.kind == "enum":
        return _enum(cursor, field, path, triton)
    if field.kind == "bool":
        return _bool(cursor, field, path)
    if field.kind == "string":
        return _string(cursor, field, path)
    if field.kind == "real":
        return _real(cursor, field, path)
    return _whole(cursor, field, path)


def _is_missing(cursor: Cursor, field: Known) -> bool:
    """Take down that nothing stands behind a field before the next one, on another line.

    For an enum the server takes that field's name as its value, and tells what is behind.
    """
    if not cursor.is_a("name") or b"\n" not in cursor.text[cursor.read_to : cursor.word.start]:
        return False
    behind = _BEHIND.match(cursor.text, cursor.word.end)
    if behind is None:
        return False
    told = behind.start(1) if field.kind == "enum" else cursor.word.start
    said = f"a value of {field.name} is wanted before {cursor.shown()}"
    cursor.flaw("kind", said, cursor.word.start, told)
    return True


def _string(cursor: Cursor, field: Known, path: str | None) -> Any:
    """Read strings beside each other as one."""
    if not cursor.is_a("string"):
        return _wrong(cursor, field, path, literals.quoted)
    start, parts = cursor.word.start, []
    while cursor.is_a("string"):
        parts.append(literals.unescape(cursor.said[1:-1]))
        cursor.take()
    said = b"".join(parts)
    try:
        return said.decode("utf-8")
    except UnicodeDecodeError:
        text = f"{field.name} is not UTF-8, and what is not is left out of what backends are told"
        cursor.flaw("encoding", text, start)
        return said.decode("utf-8", "replace")


def _whole(cursor: Cursor, field: Known, path: str | None) -> Any:
    """Read a whole number, its minus perhaps apart from it."""
    low, high = _BOUNDS[field.kind or ""]
    start = cursor.word
    negative = cursor.is_at(b"-")
    if negative and low == 0:
        said = f"{field.name} takes no negative number"
        cursor.flaw("range", said, start.start)
        cursor.skip()
        return NONE
    if negative:
        cursor.take()
    if not cursor.is_a("whole"):
        return _wrong(cursor, field, path, lambda text: literals.whole(text, low, high), negative)
    number = literals.number(cursor.said)
    limit = -low if negative else high
    if number is None or number > limit:
        sign = "minus " if negative else ""
        said = f"{field.name} takes numbers from {low} to {high}, not {sign}{cursor.shown()}"
        cursor.flaw("range", said, cursor.word.start)
        cursor.take()
        return NONE
    cursor.take()
    return -number if negative else number


def _real(cursor: Cursor, field: Known, path: str | None) -> Any:
    """Read a number, or a name of one that is not finite."""
    negative = cursor.takes(b"-")
    number = literals.real(cursor.said) if cursor.is_a("whole", "real", "name") else None
    if number is None:
        return _wrong(cursor, field, path, literals.decimal, negative)
    cursor.take()
    return -number if negative else number


def _bool(cursor: Cursor, field: Known, path: str | None) -> Any:
    """Read true or false, by name or number."""
    word = cursor.word
    if word.kind == "whole":
        number = literals.number(cursor.said)
        if number not in {0, 1}:
            said = f"{field.name} takes true or false, or 1 or 0, not {cursor.shown()}"
            cursor.flaw("range", said, word.start)
        cursor.take()
        return bool(number) if number in {0, 1} else NONE
    if word.kind != "name":
        return _wrong(cursor, field, path, lambda text: _boolean(literals.unquoted(text)))
    said = cursor.said.decode()
    cursor.take()
    if said in _BOOLEANS:
        return _BOOLEANS[said]
    meant = _boolean(said)
    cursor.flaw(
        "kind",
        f"{field.name} takes true or false, not {said!r}",
        word.start,
        cursor.word.start,
        ((path, meant),) if path and meant else (),
    )
    return NONE


def _boolean(text: str) -> str | None:
    """Return true or false where a word means it."""
    lower = text.lower()
    return _MEANT.get(lower, lower if lower in {"true", "false"} else None)


def _enum(cursor: Cursor, field: Known, path: str | None, triton: str | None) -> Any:
    """Read the name of a value, or its number, known or not."""
    assert field.values is not None  # noqa: S101
    if cursor.is_a("whole") or cursor.is_at(b"-"):
        return _whole(cursor, Known(name=field.name, kind="int32", since=None), path)
    if not cursor.is_a("name"):
        names = [each for each in field.values if not late(field.enum or "", each, triton)]

        def meant(text: str) -> str | None:
            guess = guesses.value(literals.unquoted(text[:_LONGEST]), names)
            return guess.name if guess and guess.is_sure else None

        return _wrong(cursor, field, path, meant)
    word, said = cursor.word, cursor.said.decode()
    cursor.take()
    enum = field.enum or ""
    since = late(enum, said, triton)
    if since is not None:
        text = f"{field.name} has no value {said} in Triton {triton}: it {came(since)}"
        cursor.flaw("newer", text, word.start, cursor.word.start)
    if said in field.values:
        return field.values[said]
    if said not in named(enum) and not cursor.is_begun(field.name, word):
        _no_value(cursor, field, path, said, word.start, triton)
    return NONE


def _no_value(
    cursor: Cursor, field: Known, path: str | None, said: str, at: int, triton: str | None
) -> None:
    """Take down a name that is no value of an enum, and what was probably meant."""
    known = [each for each in field.values or () if not late(field.enum or "", each, triton)]
    guess = guesses.value(said, known)
    listed = f"it takes {', '.join(known)}" if len(known) <= _FEW else ""
    hint = f"did you mean {guess.name}?" if guess else listed
    cursor.flaw(
        "value",
        f"{said!r} is no value of {field.name}{f': {hint}' if hint else ''}",
        at,
        cursor.word.start,
        ((path, guess.name),) if path and guess and guess.is_sure else (),
    )


def _wrong(
    cursor: Cursor,
    field: Known,
    path: str | None,
    meant: Callable[[str], str | None],
    negative: bool = False,  # noqa: FBT001, FBT002
) -> Any:
    """Take down a value of another kind and go past it; `meant` says what it should have been."""
    if cursor.passes_placeholder(field.name):
        return NONE
    wanted = _WANTED.get(field.kind or "", "a whole number")
    if field.kind == "enum":
        names = list(field.values or ())
        wanted = f"{', '.join(names[:_FEW])}{' …' * (len(names) > _FEW)}"
    word = cursor.word
    if word.kind == "end" or cursor.is_at(b"}", b">", b"]", b",", b";", b":"):
        cursor.broken(f"a value of {field.name} is wanted here, not {cursor.shown()}")
    if cursor.is_at(b"["):
        said = f"{field.name} takes one value, not a list"
        if field.is_repeated:
            said = f"{field.name} takes no lists in its list"
    else:
        said = f"{field.name} takes {wanted}, not {cursor.shown()}"
    text = cursor.said.decode("utf-8", "replace")
    right = None if word.kind == "mark" or negative else meant(text)
    if field.kind == "enum" and word.kind == "string" and right is not None:
        said = f"{field.name} takes a name without quotes: {right}"
    edits = ((path, right),) if path and right is not None else ()
    cursor.flaw("kind", said, word.start, edits=edits)
    cursor.skip()
    return NONE
