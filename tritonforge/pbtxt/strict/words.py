"""The words of a config's text as the server's reader parts them: protobuf's tokenizer for C++.

It counts in bytes, a tab reaching to the next multiple of eight. What it dislikes it tells when it
comes by, and goes on: such a blemish belongs to the word behind which it was met.

Source: protobuf, `io/tokenizer.cc`.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

Kind = Literal["name", "whole", "real", "string", "mark", "end"]

_TAB = 8
_GAP = re.compile(rb"[ \n\t\r\v\f]*(?:#[^\n\0]*\n?[ \n\t\r\v\f]*)*")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f][\x00-\x1f]*")
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(
    rb"(?P<hex>0[xX][0-9a-fA-F]*)|(?P<octal>0[0-9]+)"
    rb"|(?P<decimal>(?:[0-9]+(?P<point>\.[0-9]*)?|(?P<bare>\.[0-9]+))"
    rb"(?P<power>[eE][-+]?(?P<exponent>[0-9]*))?(?P<f>[fF])?)"
)
_ESCAPE = rb"\\(?:[abfnrtv\\?'\"0-7]|x[0-9a-fA-F]|u[0-9a-fA-F]{4}|U00[01][0-9a-fA-F]{5})"
_PLAIN = {quote: rb"[^\\\n\0" + quote + rb"]*" for quote in (b'"', b"'")}
_RUN = {quote: re.compile(plain) for quote, plain in _PLAIN.items()}
# What word processors and other keyboards write for what is meant.
_ALIKE = {
    '"': "\u201c\u201d\u201e\uff02\u00ab\u00bb",
    "'": "\u2018\u2019\u201a\uff07",
    ",": "\uff0c\u3001",
    ":": "\uff1a",
    "-": "\u2013\u2014\u2212\uff0d",
    "[": "\uff3b",
    "]": "\uff3d",
    "{": "\uff5b",
    "}": "\uff5d",
    "a space": "\u00a0\u2002\u2003\u2009\u202f\u3000",
}
_STRING = {
    quote: re.compile(quote + plain + rb"(?:" + _ESCAPE + plain + rb")*" + quote)
    for quote, plain in _PLAIN.items()
}
# A word that nothing can be wrong with, and what is before it: most words are read at one go.
_SOUND = re.compile(
    rb"(?>"  # once read, space and comments are not read otherwise
    + _GAP.pattern
    + rb")(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*+)(?!\.)"
    + rb"|(?P<mark>[{}<>\[\]:,;-])"
    + rb"|(?P<string>"
    + b"|".join(each.pattern for each in _STRING.values())
    + rb")|(?P<whole>(?:[1-9][0-9]*|0)(?![0-9A-Za-z_.])))"
)
_WHOLE_ESCAPE = re.compile(_ESCAPE)
# What of an escape is read before it turns out to be none, so that the place is the server's.
_PART_OF_ESCAPE = re.compile(rb"\\(?:x|u[0-9a-fA-F]{0,3}|U(?:0(?:0(?:[01][0-9a-fA-F]{0,4})?)?)?)?")


@dataclass(frozen=True, slots=True)
class Blemish:
    """What the tokenizer tells of a place; reading cannot usefully go on behind a `final` one."""

    at: int
    said: str
    final: bool = False


class Word(NamedTuple):  # of which a config has hundreds: a tuple is made in half the time
    """A word and where it stands, in bytes; `blemishes` were met on the way to its end."""

    kind: Kind
    start: int
    end: int
    text: bytes
    blemishes: tuple[Blemish, ...] = ()


def place(text: bytes, at: int) -> tuple[int, int]:
    """Return line and column of a byte, from 1, as the server's log counts them."""
    before = text[text.rfind(b"\n", 0, at) + 1 : at].replace(b"\r", b" ")
    return text.count(b"\n", 0, at) + 1, len(before.expandtabs(_TAB)) + 1


def character(line: str, column: int) -> int:
    """Return which character of a line, from 1, stands at a column as the server's log counts."""
    reached = 1
    for number, each in enumerate(line, 1):
        reached += _TAB - (reached - 1) % _TAB if each == "\t" else len(each.encode())
        if reached > column:
            return number
    return len(line) + 1


def words(text: bytes) -> Iterator[Word]:
    """Yield the words of a text one by one, at last its end."""
    at, name_end = 0, -1
    while True:
        if sound := _SOUND.match(text, at):
            kind = cast("Kind", sound.lastgroup)
            start, at = sound.span(kind)
            yield Word(kind, start, at, sound[kind])
            name_end = at if kind == "name" else -1
            continue
        at, met = _begin(text, at)
        if at == len(text):
            yield Word("end", at, at, b"", tuple(met))
            return
        word = _word(text, at, follows=at == name_end)
        name_end = word.end if word.kind == "name" else -1
        yield word if not met else word._replace(blemishes=(*met, *word.blemishes))
        at = word.end


def _begin(text: bytes, at: int) -> tuple[int, list[Blemish]]:
    """Return where the next word begins, past space, comments and what has no place in a text."""
    met: list[Blemish] = []
    while True:
        gap = _GAP.match(text, at)
        at = gap.end() if gap else at
        control = _CONTROL.match(text, at)
        if control is None:
            return at, met
        met.append(Blemish(at, f"the control character {text[at]:#04x} has no place in a text"))
        at = control.end()


def _word(text: bytes, at: int, *, follows: bool) -> Word:
    """Read the word that begins at a place; `follows` says that it does so right behind a name."""
    if found := _NAME.match(text, at):
        return Word("name", at, found.end(), found[0])
    if found := _NUMBER.match(text, at):
        return _number(text, found, follows=follows)
    quote = text[at : at + 1]
    if quote in _STRING:
        whole = _STRING[quote].match(text, at)
        if whole:
            return Word("string", at, whole.end(), whole[0])
        return _blemished_string(text, at, quote)
    if text[at] < 0x80:
        return Word("mark", at, at + 1, text[at : at + 1])
    strange = _character(text, at)
    said = f"{strange!r} may stand in strings and comments alone"
    if meant := next((each for each, like in _ALIKE.items() if strange in like), ""):
        said += f": write {meant}"
    if text.startswith(codecs.BOM_UTF8) and at == 0:
        said = "the text begins with a byte-order mark: save it as UTF-8 without one"
    return Word("mark", at, at + 1, text[at : at + 1], (Blemish(at, said, final=True),))


def _number(text: bytes, found: re.Match[bytes], *, follows: bool) -> Word:
    """Tell a whole number from one with a point, and what is wrong with it."""
    at, end = found.span()
    met = []
    real = any(found[part] is not None for part in ("point", "bare", "power", "f"))
    if found["bare"] and follows:
        met.append(Blemish(at, "a space is wanted between a name and a number"))
    if found["hex"] and end - at == len("0x"):
        met.append(Blemish(end, "hexadecimal digits are wanted behind 0x"))
    if found["octal"] and (wrong := re.search(rb"[89]", found["octal"])):
        said = "a number that begins with 0 is octal, which has no digits 8 and 9"
        met.append(Blemish(at + wrong.start(), said))
    if found["power"] and not found["exponent"]:
        met.append(Blemish(end - bool(found["f"]), "digits are wanted behind the e of a number"))
    if _NAME.match(text, end):
        met.append(Blemish(end, "a space is wanted between a number and a name", final=True))
    elif text[end : end + 1] == b".":
        met.append(Blemish(end, "this number has a point too many"))
    return Word("real" if real else "whole", at, end, found[0], tuple(met))


def _blemished_string(text: bytes, start: int, quote: bytes) -> Word:
    """Read a string that has no end, or escapes that are none."""
    met: list[Blemish] = []
    at = start + 1
    while True:
        run = _RUN[quote].match(text, at)
        at = run.end() if run else at
        sign = text[at : at + 1]
        if sign == quote:
            return Word("string", start, at + 1, text[start : at + 1], tuple(met))
        if sign != b"\\":
            said = "this string has no end on its line"
            if sign == b"\0":
                said = "a string cannot hold a NUL byte: write it as \\000"
            met.append(Blemish(at, said, final=True))
            return Word("string", start, at, text[start:at], tuple(met))
        if whole := _WHOLE_ESCAPE.match(text, at):
            at = whole.end()
            continue
        part = _PART_OF_ESCAPE.match(text, at)
        end = part.end() if part else at + 1
        shown = text[at : end + 1].decode("utf-8", "replace").rstrip("\n")
        met.append(Blemish(end, f"{shown} is no escape: a backslash itself is written \\\\"))
        at = end


def _character(text: bytes, at: int) -> str:
    """Return the character that begins at a byte."""
    return text[at : at + 4].decode("utf-8", "replace")[0]
