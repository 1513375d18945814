"""Whether the text of a parameter is what the backend, or ONNX Runtime behind it, can read.

Source: triton-inference-server/backend, `backend_common.cc` (ParseIntValue, ParseBoolValue,
ParseUnsignedLongLongValue); microsoft/onnxruntime, `parse_string.h`, which wants the whole text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from tritonforge import knobs
from tritonforge.knobs import Key, Kind
from tritonforge.release import Release
from tritonforge.rules.places import near
from tritonforge.rules.rule import Found

_ON = {"true", "on", "1"}
_OFF = {"false", "off", "0"}
_ONNX_SWITCHES = {"0", "1", "true", "True", "false", "False"}
# What C's `strtol` reads: blanks before a number, anything behind it.
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")
_NOTHING = re.compile(r"(\.0*)?\s*")
_NUMERIC = {"integer", "size"}
_LONGEST = 400  # digits of a number that are worth reading
# A device, its number, and what nobody reads behind both: of the CPU there is one.
_ARENA = re.compile(r"(cpu(:0*)?|gpu(:[0-9]{0,4})?)((?<=[0-9]):.*)?", re.DOTALL)


def wanted(text: str, key: Key, *, whole: bool) -> str | None:
    """Say what a parameter should be where its text cannot be read; None where it can.

    `whole` is for what is handed on to ONNX Runtime, which reads more strictly.
    """
    if key.kind == "choice":
        number = _number(text)
        numeric = all(value.isdigit() for value in key.values)
        found = str(number) if numeric and number is not None else text
        return None if found in key.values else " or ".join(key.values)
    read, said = _READ[key.kind]
    return None if read(text, whole) else said


def misread(text: str, key: Key) -> str | None:
    """Return the number for which the backend takes a text that says more, None for any other.

    It reads as far as there are digits, so `2GB` are 2 bytes. A rest that says nothing, such as
    blanks, is no matter.
    """
    numeric = key.kind == "choice" and all(value.isdigit() for value in key.values)
    match = _NUMBER.match(text) if numeric or key.kind in _NUMERIC else None
    return None if match is None or _NOTHING.fullmatch(text, match.end()) else match[1]


def newer(
    given: Iterable[tuple[str, str, str]], group: knobs.Group, release: Release
) -> Iterator[Found]:
    """Yield the parameters of a group, by place, name and text, that a release takes not yet."""
    named, taken = knobs.known(group), knobs.taken(group, release)
    for place, name, _ in given:
        if name in named and name not in taken:
            yield Found(said=late(name, f"since {named[name].since}", release), at=place)


def is_on(text: str) -> bool:
    """Say whether the backend takes a switch for on."""
    return text.lower() in _ON


def is_off(text: str) -> bool:
    """Say whether the backend takes a switch for off."""
    return text.lower() in _OFF


def _switch(text: str, whole: bool) -> bool:  # noqa: FBT001 - one of a table of readers
    return text in _ONNX_SWITCHES if whole else text.lower() in _ON | _OFF


def _integer(text: str, whole: bool) -> bool:  # noqa: FBT001
    number = _number(text)
    strict = re.fullmatch(r"[+-]?[0-9]+", text) is not None
    return number is not None and -(2**31) <= number < 2**31 and (strict or not whole)


def _size(text: str, whole: bool) -> bool:  # noqa: FBT001
    number = _number(text)
    strict = re.fullmatch(r"\+?[0-9]+", text) is not None
    return number is not None and abs(number) < 2**64 and (strict or not whole)


def _number(text: str) -> int | None:
    """Read the number that a text begins with; one beyond all bounds only so far."""
    match = _NUMBER.match(text)
    return int(match[1][:_LONGEST]) if match else None


def _arenas(text: str, _whole: bool) -> bool:  # noqa: FBT001
    """Read `cpu:0;gpu:0`; another device or number fails every request."""
    return all(_ARENA.fullmatch(each) for each in text.removesuffix(";").split(";") if text)


_READ: Mapping[Kind, tuple[Callable[[str, bool], bool], str]] = {
    "switch": (_switch, "0 or 1"),
    "integer": (_integer, "a whole number of 32 bits"),
    "size": (_size, "a number of bytes"),
    "address": (_size, "the number of an address in memory"),
    "arenas": (_arenas, "cpu:0, gpu:0 or both with a semicolon between"),
    "text": (lambda _text, _whole: True, ""),
}


def unreadable(
    place: str, text: str, key: Key, release: Release, *, whole: bool
) -> Iterator[Found]:
    """Yield a value that cannot be read, or that is newer than the release."""
    should = wanted(text, key, whole=whole)
    if should is not None:
        taken = [value for value, since in key.values.items() if knobs.begun(since, release)]
        should = " or ".join(taken) or should
        fails = "every request" if key.kind == "arenas" else "the load"
        said = f"{text!r} should be {should}, else {fails} fails{near(text.upper(), taken)}"
        yield Found(said=said, at=place)
    elif not knobs.begun(key.values.get(text), release):
        yield Found(said=late(text, f"since {key.values[text]}", release), at=place)


def late(name: str, since: str, release: Release) -> str:
    """Say that a release has not got a key yet."""
    return f"{name} is taken {since}, not yet by release {release.tag}"
