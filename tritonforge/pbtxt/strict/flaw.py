"""What is wrong with a config's text."""

from dataclasses import dataclass
from typing import Literal

# broken    no text of protobuf, so that often nothing behind it is known
# unfilled  a place of a template that nobody has filled in
# kind      a value of another kind than the field's
# range     a number beyond the field's
# twice     a field that takes one value, given again
# choice    a field beside another that excludes it
# value     a name that is no value of an enum
# encoding  a string that is not UTF-8
# key       a key of a map that stands there already, which the server takes
# unknown   a field that no known Triton has
# newer     a field, or a value of an enum, that came after the release: it is read nonetheless
Kind = Literal[
    "broken",
    "unfilled",
    "kind",
    "range",
    "twice",
    "choice",
    "value",
    "encoding",
    "key",
    "unknown",
    "newer",
]


Place = tuple[int, int]  # line and column, from 1, as the server's log counts them


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One fault of a text, in a sentence without an end.

    `at` is where the word begins that is at fault, `told` where the server's log tells it, which
    is often the next word. `edits` mend it without changing what a person meant: paths, each with
    the text of the value that it gets, or None to take out what stands there.
    """

    kind: Kind
    said: str
    at: Place
    told: Place
    edits: tuple[tuple[str, str | None], ...] = ()

    @property
    def is_taken(self) -> bool:
        """Say whether the server reads the text for all that."""
        return self.kind in {"key", "encoding"}

    @property
    def place(self) -> Place:
        """Return where to look: where the server tells it, unless that is another line."""
        return self.told if self.told[0] == self.at[0] else self.at
