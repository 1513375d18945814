"""Change the text of a config: what people mistype, and what a reader of text trips over."""

import random
import re

from specimens import Case

_TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|-?[\d.]+|[{}\[\]:,;]')
_JUNK = (
    "@",
    "$",
    "}",
    "{",
    "]",
    "[",
    '"',
    "'",
    ":",
    ",",
    ";",
    "\\",
    "/",
    "<",
    ">",
    "0x",
    "1e",
    "#",
    "\t",
)
_VALUES = (
    '"text"',
    "12",
    "-12",
    "1.5",
    "true",
    "TYPE_NONE",
    "99999999999999999999",
    "0x10",
    "010",
    "08",
    "1e3",
    "inf",
    "-inf",
    "nan",
    "'it'",
    '"a" "b"',
    '"\\q"',
    '"\\x4"',
    "[ 1, 2 ]",
    "[ ]",
    "{ }",
    "-",
    "- 4",
    "t",
    "True",
    "1f",
    "+1",
    '"\n"',
    "2147483648",
    "-2147483649",
    "4294967296",
)
_WHOLE = (
    "{",
    "}",
    "name",
    "name:",
    "unknown: 1",
    "# a comment",
    "\ufeff",
    "<?xml?>",
    "inference.x { }",
    "[ext]: 1",
    "max_batch_size 4",
    "dynamic_batching: { }",
    "dynamic_batching < >",
    "input: [ ]",
    "Max_Batch_Size: 4",
    "max_batch_size: 1 max_batch_size: 2",
    "version_policy { all { } latest { } }",
    'input [ { name: "z" } ]',
    'parameters { key: "k" key: "l" }',
    ";",
    ",",
    "\x00",
    "é: 1",
)


def misspell(case: Case, dice: random.Random) -> None:
    """Change the text of the case's own model in one place."""
    specimen = case.models[case.main]
    text = specimen.written() or ""
    tokens = list(_TOKEN.finditer(text))
    if not tokens:
        return
    token = dice.choice(tokens)
    start, end = token.span()
    word = token.group()
    how = dice.choice(
        ("gone", "twice", "junk", "value", "value", "name", "case", "whole", "whole", "cut")
    )
    if how == "gone":
        changed = text[:start] + text[end:]
    elif how == "twice":
        changed = f"{text[:end]} {word}{text[end:]}"
    elif how == "junk":
        junk = dice.choice(_JUNK)
        at = dice.choice((start, end, dice.randint(start, end)))
        changed, word = text[:at] + junk + text[at:], f"{junk} near {word}"
    elif how == "value":
        values = [
            each for each in tokens if text[: each.start()].rstrip().endswith((":", ",", "["))
        ]
        token = dice.choice(values or tokens)
        value = dice.choice(_VALUES)
        word = f"{token.group()} is now {value}"
        changed = text[: token.start()] + value + text[token.end() :]
    elif how == "name":
        names = [each for each in tokens if re.match(r"[a-z]", each.group())]
        token = dice.choice(names or tokens)
        old = token.group()
        at = dice.randrange(len(old))
        new = dice.choice(
            (old[:at] + old[at + 1 :], old[:at] + old[at] + old[at:], f"{old}s", old.upper())
        )
        word = f"{old} is now {new}"
        changed = text[: token.start()] + new + text[token.end() :]
    elif how == "case":
        changed = text[:start] + word.swapcase() + text[end:]
    elif how == "whole":
        word = dice.choice(_WHOLE)
        lines = text.splitlines(keepends=True)
        at = dice.randint(0, len(lines))
        changed = "".join([*lines[:at], f"{word}\n", *lines[at:]])
    else:
        at = dice.randrange(len(text))
        changed, word = text[:at], f"at {at}"
    specimen.text = changed
    case.changes.append(f"text: {how} {word!r}")
