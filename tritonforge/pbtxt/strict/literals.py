"""What the words of numbers and strings say, as the server's reader takes them.

Source: protobuf, `io/tokenizer.cc` (ParseInteger, ParseFloat, ParseStringAppend).
"""

import math
import re

_ESCAPE = re.compile(
    rb"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{1,2})"
    rb"|u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<sign>.))",
    re.DOTALL,
)
_SIGNS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_LONGEST = 400  # digits of a number that are worth reading
_NOT_FINITE = {b"inf": math.inf, b"infinity": math.inf, b"nan": math.nan}


def number(text: bytes) -> int | None:
    """Read a whole number, octal behind 0; None for one that is too long, or none."""
    if len(text) > _LONGEST:
        return None
    base = 16 if text[:2].lower() == b"0x" else 8 if text.startswith(b"0") else 10
    try:
        return int(text, base)
    except ValueError:  # it is blemished, which was told
        return 0


def real(text: bytes) -> float | None:
    """Read a decimal number or the name of one that is not finite; None for others."""
    if text[:1].isalpha() or text[:1] == b"_":
        return _NOT_FINITE.get(text.lower())
    if re.match(rb"0[0-7xX]", text):
        return None
    found = re.match(rb"[0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]+)?", text)
    return float(found[0]) if found and found[0].strip(b".") else 0.0


def unescape(text: bytes) -> bytes:
    """Return what is written between quotes."""
    return _ESCAPE.sub(_escaped, text) if b"\\" in text else text


def _escaped(found: re.Match[bytes]) -> bytes:
    """Return what an escape stands for."""
    if found["octal"]:
        return bytes([int(found["octal"], 8) & 0xFF])
    if found["hex"]:
        return bytes([int(found["hex"], 16)])
    if found["high"]:
        high, low = int(found["high"], 16), int(found["low"], 16)
        return _encoded(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    if found["short"] or found["long"]:
        return _encoded(int(found["short"] or found["long"], 16))
    return _SIGNS.get(found["sign"], found["sign"])


def _encoded(point: int) -> bytes:
    """Return a code point as UTF-8, half a surrogate pair too."""
    return chr(min(point, 0x10FFFF)).encode("utf-8", "surrogatepass")


def unquoted(text: str) -> str:
    """Return what is between the quotes of a string, or the text itself."""
    return text[1:-1] if text[:1] in {'"', "'"} else text


def quoted(text: str) -> str | None:
    """Return a name or a number as a string; None for what is none."""
    return f'"{text}"' if re.fullmatch(r"[\w.]+", text, re.ASCII) else None


def whole(text: str, low: int, high: int) -> str | None:
    """Return the whole number that a string or a decimal number means, None where it is none."""
    try:
        said = float(unquoted(text).rstrip("fF"))
    except ValueError:
        return None
    return (
        str(int(said))
        if math.isfinite(said) and said == int(said) and low <= said <= high
        else None
    )


def decimal(text: str) -> str | None:
    """Return the number that a string means, None where it is none."""
    said = unquoted(text)
    return said if re.fullmatch(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", said) else None
