"""The syntax of a config's text: its fields and values and where each stands.

A tree knows no schema, so that it holds whatever was written, by whomever. Every node is a span of
the text; what is between the spans, space and comments, stays in the text alone.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from tritonforge.pbtxt.editing.tokens import Token, fault, lex

_DEEPEST = 100  # messages in messages; a config needs fewer than ten
_CLOSING = {"{": "}", "<": ">"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A number, a name, or one or more strings beside each other."""

    start: int
    end: int
    tokens: tuple[Token, ...]

    @property
    def is_string(self) -> bool:
        """Say whether it is written as a string."""
        return self.tokens[0].kind == "string"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Message:
    """What is between braces, or a whole text: `inside` and `outside` bound its fields.

    It is one alone, as what is looked up in it is kept: to compare all that it holds takes long.
    """

    start: int
    end: int
    inside: int
    outside: int
    fields: tuple["Field", ...]
    is_whole: bool = False  # a text, without braces


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Values between square brackets; `commas` are the places of the commas between them."""

    start: int
    end: int
    items: tuple["Value", ...]
    commas: tuple[int, ...]


Value = Scalar | Message | Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A name and its value, and the `,` or `;` behind it where there is one."""

    start: int
    end: int
    name: str
    name_end: int
    has_colon: bool
    value: Value
    separator: Token | None

    @property
    def values(self) -> tuple[Value, ...]:
        """Return the values of a list, or the one that stands alone."""
        return self.value.items if isinstance(self.value, Listing) else (self.value,)


@lru_cache(maxsize=2)  # a text is asked for many places, and what becomes of it, too
def read(text: str, file: Path | str = "config.pbtxt") -> Message:
    """Read the syntax of a text; raise `ConfigError` with file, line and column."""
    reader = _Reader(text, file)
    fields = reader.fields(None, 0)
    return Message(
        start=0, end=len(text), inside=0, outside=len(text), fields=fields, is_whole=True
    )


def read_value(text: str, file: Path | str = "VALUE") -> Value:
    """Read a text that is one value and nothing more; raise `ConfigError` where it is not."""
    reader = _Reader(text, file)
    found = reader.value(0)
    if reader.token is not None:
        reader.refuse("one value is wanted, and there is more")
    return found


class _Reader:
    """A position in the tokens of a text; each method reads on from there."""

    def __init__(self, text: str, file: Path | str) -> None:
        self.text = text
        self.file = file
        self.tokens = lex(text, file)
        self.at = 0

    @property
    def token(self) -> Token | None:
        """Return the next token, None at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def refuse(self, said: str) -> NoReturn:
        """Raise the error of the next token's place."""
        place = len(self.text) if self.token is None else self.token.start
        raise fault(self.text, place, said, self.file)

    def is_at(self, *marks: str) -> bool:
        """Say whether one of these marks comes next."""
        token = self.token
        return token is not None and token.kind == "mark" and token.text in marks

    def take(self) -> Token:
        """Return the next token and go past it."""
        if self.token is None:
            self.refuse("the text ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def want(self, mark: str) -> Token:
        """Take a mark that has to come."""
        if not self.is_at(mark):
            self.refuse(f"{mark!r} is wanted here")
        return self.take()

    def fields(self, closing: str | None, depth: int) -> tuple[Field, ...]:
        """Read fields up to a closing mark, or to the end of the text."""
        found = []
        while not (self.token is None if closing is None else self.is_at(closing)):
            if self.token is None:
                self.refuse(f"{closing!r} is wanted here")
            found.append(self.field(depth))
        return tuple(found)

    def field(self, depth: int) -> Field:
        """Read a field and what parts it from the next."""
        start, name_end = self.name()
        has_colon = self.is_at(":")
        if has_colon:
            self.take()
        first = self.at
        value = self.value(depth)
        if not has_colon and not _may_lack_colon(value):
            self.at = first
            self.refuse("':' is wanted here")
        separator = self.take() if self.is_at(",", ";") else None
        return Field(
            start=start,
            end=separator.end if separator else value.end,
            name=_name(self.text[start:name_end]),
            name_end=name_end,
            has_colon=has_colon,
            value=value,
            separator=separator,
        )

    def name(self) -> tuple[int, int]:
        """Read the name of a field, or one in square brackets; return its span."""
        if self.is_at("["):
            start = self.take().start
            while not self.is_at("]"):
                if not (self.is_at(".", "/") or (self.token and self.token.kind == "word")):
                    self.refuse("']' is wanted here")
                self.take()
            return start, self.take().end
        if self.token is None or self.token.kind != "word":
            self.refuse("the name of a field is wanted here")
        token = self.take()
        return token.start, token.end

    def value(self, depth: int) -> Value:
        """Read a scalar, a message or a list."""
        if depth > _DEEPEST:
            self.refuse(f"messages lie more than {_DEEPEST} deep here")
        if self.is_at("{", "<"):
            return self.message(depth)
        if self.is_at("["):
            return self.listing(depth)
        return self.scalar()

    def message(self, depth: int) -> Message:
        """Read what is between braces."""
        opening = self.take()
        fields = self.fields(_CLOSING[opening.text], depth + 1)
        closing = self.take()
        return Message(
            start=opening.start,
            end=closing.end,
            inside=opening.end,
            outside=closing.start,
            fields=fields,
        )

    def listing(self, depth: int) -> Listing:
        """Read what is between square brackets; lists hold no lists."""
        start = self.take().start
        items: list[Value] = []
        commas: list[int] = []
        while not self.is_at("]") or commas:
            items.append(self.message(depth) if self.is_at("{", "<") else self.scalar())
            if self.is_at("]"):
                break
            commas.append(self.want(",").start)
        end = self.want("]").end
        return Listing(start=start, end=end, items=tuple(items), commas=tuple(commas))

    def scalar(self) -> Scalar:
        """Read a number or a name, or strings beside each other."""
        if self.token is None or self.token.kind == "mark":
            self.refuse("a value is wanted here")
        tokens = [self.take()]
        if tokens[0].text == "-" and self.token is not None and self.token.kind == "word":
            tokens.append(self.take())  # Triton's reader takes a minus apart from its number
        while tokens[0].kind == "string" and self.token and self.token.kind == "string":
            tokens.append(self.take())
        return Scalar(start=tokens[0].start, end=tokens[-1].end, tokens=tuple(tokens))


def _may_lack_colon(value: Value) -> bool:
    """Say whether a value needs no colon before it: a message, or a list of them."""
    if isinstance(value, Listing):
        return all(isinstance(each, Message) for each in value.items)
    return isinstance(value, Message)


def _name(written: str) -> str:
    """Return the name of a field; one in square brackets without the space that it may hold."""
    if not written.startswith("["):
        return written
    return f"[{''.join(token.text for token in lex(written[1:-1], 'config.pbtxt'))}]"
