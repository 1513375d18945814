"""Where text goes in a config and how it looks there: as what stands around it.

Every function takes a text and returns it with one thing put in or taken out. What is put in goes
on lines of its own where the surroundings do, indented alike, else onto the same line.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from tritonforge.pbtxt.editing.tree import Field, Listing, Message, Value

# What a config is of, before what it takes and gives.
_HEAD = {"name", "platform", "backend", "default_model_filename", "max_batch_size"}
_INDENTED = re.compile(r"^([ \t]+)[^\s#]", re.MULTILINE)
_WORDLIKE = re.compile(r"[0-9a-zA-Z_.+-]")
_SPACES = re.compile(r"[^\S\r\n]*")
_LINE_END = re.compile(r"(?:\r?\n)?")
_BLANK_OR_COMMENT = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?=\n|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a piece is written: on one line, or on several that begin with `indent`."""

    is_inline: bool
    indent: str
    unit: str
    newline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A field to be written: its value as text, or the fields of a message."""

    name: str
    value: "str | tuple[Piece, ...]"

    def write(self, style: Style) -> str:
        """Return its text; the first line is not indented, the last not ended."""
        if isinstance(self.value, str):
            colon = "" if self.value.startswith(("{", "<")) or _is_of_messages(self.value) else ":"
            return f"{self.name}{colon} {self.value}"
        return f"{self.name} {braced(self.value, style)}"


def braced(pieces: tuple[Piece, ...], style: Style) -> str:
    """Return the text of a message with these fields."""
    if style.is_inline:
        inner = " ".join(each.write(style) for each in pieces)
        return f"{{ {inner} }}" if inner else "{ }"
    deeper = replace(style, indent=style.indent + style.unit)
    lines = [f"{deeper.indent}{each.write(deeper)}{style.newline}" for each in pieces]
    return f"{{{style.newline}{''.join(lines)}{style.indent}}}"


def add_field(text: str, body: Message, piece: Piece, after: Field | None = None) -> str:
    """Put a field behind a field like it, else at the end of a message; a head behind heads."""
    after = after or _head(text, body, piece)
    before = after or (body.fields[-1] if body.fields else None)
    mark = before.separator.text if before is not None and before.separator is not None else ""
    end = before.end if before is not None else body.inside
    is_inline = _is_inline(text, body)
    if after is not None and not is_inline and _is_alone(text, after.start, end):
        is_inline = isinstance(after.value, Message) and "\n" not in text[after.start : after.end]
        style = _style(text, _indent(text, after.start), is_inline=is_inline)
        return _line_after(text, end, piece.write(style) + mark, style)
    if after is None and not is_inline:
        return _line_at_end(text, body, end, piece, mark)
    words = piece.write(_style(text, "", is_inline=True)) + mark
    if before is not None:
        return f"{text[:end]}{_joint(body, before)} {words}{text[end:]}"
    return f"{text[: body.inside]} {words} {text[body.outside :]}"


def _head(text: str, body: Message, piece: Piece) -> Field | None:
    """Return what one of those goes behind that a config begins with; None for the end."""
    heads = [each for each in body.fields if each.name in _HEAD]
    if not (heads and body.is_whole and piece.name in _HEAD):
        return None
    return heads[-1] if _is_alone(text, heads[-1].start, heads[-1].end) else None


def add_item(text: str, items: Listing, write: Callable[[Style], str]) -> str:
    """Put an element at the end of a list."""
    if not items.items:
        return _first_item(text, items, write)
    last = items.items[-1]
    starts_line = not text[: last.start].rpartition("\n")[2].strip()
    if not starts_line or "\n" not in text[items.start : items.end]:
        words = write(_style(text, "", is_inline=True))
        return f"{text[: last.end]}, {words}{text[last.end :]}"
    is_inline = "\n" not in text[last.start : last.end]
    style = _style(text, _indent(text, last.start), is_inline=is_inline)
    text = f"{text[: last.end]},{text[last.end :]}"
    return _line_after(text, last.end + 1, write(style), style)


def cut(text: str, start: int, end: int) -> str:
    """Take a span out, with the line that it had for itself or the space that it leaves."""
    line = text.rfind("\n", 0, start) + 1
    after = _past(_SPACES, text, end)
    ends_line = _past(_LINE_END, text, after)
    if ends_line > after or after == len(text):
        if not text[line:start].strip() and ends_line == after:  # the last line, without an end
            return text[:line].removesuffix("\n").removesuffix("\r")
        if not text[line:start].strip():
            return text[:line] + text[ends_line:]
        return text[:start].rstrip(" \t") + text[after:]
    if text[start - 1 : start].isspace() or text[start - 1 : start] in {"", "{", "[", "<"}:
        return text[:start] + text[after:]
    return text[:start] + text[end:]


def cut_field(text: str, field: Field) -> str:
    """Take a field out, and what parts it from the next; comments between the two stay."""
    if field.separator is not None and text[field.value.end : field.separator.start].strip():
        text = cut(text, field.separator.start, field.separator.end)
        return cut(text, field.start, field.value.end)
    return cut(text, field.start, field.end)


def cut_item(text: str, items: Listing, index: int) -> str:
    """Take an element out of a list of several, and one comma; comments between the two stay."""
    item = items.items[index]
    if index < len(items.commas):
        comma = items.commas[index]
        if not text[item.end : comma].strip():
            return cut(text, item.start, comma + 1)
        return cut(cut(text, comma, comma + 1), item.start, item.end)
    comma = items.commas[index - 1]
    if not text[comma + 1 : item.start].strip(" \t"):
        return cut(text, comma, item.end)
    text = cut(text, item.start, item.end)
    return text[:comma] + text[comma + 1 :]


def swap(text: str, value: Value, words: str) -> str:
    """Put words in the place of a value."""
    after = text[value.end :]
    glues = _WORDLIKE.match(words[-1:]) and _WORDLIKE.match(after)
    return f"{text[: value.start]}{words}{' ' if glues else ''}{after}"


def _first_item(text: str, items: Listing, write: Callable[[Style], str]) -> str:
    """Put an element into an empty list."""
    closing = items.end - 1
    if "\n" not in text[items.start : items.end]:
        words = write(_style(text, "", is_inline=True))
        return f"{text[: items.start]}[ {words} ]{text[items.end :]}"
    indent = _indent(text, closing) + _unit(text)
    style = _style(text, indent, is_inline=False)
    line = text.rfind("\n", 0, closing) + 1
    return f"{text[:line]}{indent}{write(style)}{style.newline}{text[line:]}"


def _line_at_end(text: str, body: Message, end: int, piece: Piece, mark: str) -> str:
    """Put a field on a line of its own before a message's closing brace, or at a text's end."""
    firsts = [each for each in body.fields if _starts_line(text, each.start)]
    if firsts:
        indent = _indent(text, firsts[-1].start)
    else:
        indent = "" if body.is_whole else _indent(text, body.outside) + _unit(text)
    style = _style(text, indent, is_inline=False)
    words = f"{indent}{piece.write(style)}{mark}"
    if body.is_whole:
        if text and not text.endswith("\n"):
            return f"{text}{style.newline}{words}"
        return f"{text}{words}{style.newline}"
    if not _starts_line(text, body.outside):
        return f"{text[:end]}{style.newline}{words}{text[end:]}"
    line = text.rfind("\n", 0, body.outside) + 1
    return f"{text[:line]}{words}{style.newline}{text[line:]}"


def _line_after(text: str, end: int, words: str, style: Style) -> str:
    """Put words on a line of their own behind the one on which something ends."""
    place = _past(_BLANK_OR_COMMENT, text, end)
    if text[end:place].endswith("\r"):
        place -= 1
    return f"{text[:place]}{style.newline}{style.indent}{words}{text[place:]}"


def _joint(body: Message, before: Field) -> str:
    """Return what parts a field from a new one on its line, as it is done in the message.

    It is written with the new one: a field that ends its line stays as it is.
    """
    first = body.fields[0].separator
    if first is None or before.separator is not None or before is not body.fields[-1]:
        return ""
    return first.text


def _is_inline(text: str, body: Message) -> bool:
    """Say whether a message stands on one line; a text does where several fields do, or no end."""
    inner = text[body.inside : body.outside]
    if not body.is_whole:
        return "\n" not in inner
    if not body.fields or "\n" in inner.rstrip("\r\n"):
        return False
    return len(body.fields) > 1 or "\n" not in inner


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a pattern that matches nothing too ends."""
    match = pattern.match(text, at)
    return match.end() if match else at


def _is_alone(text: str, start: int, end: int) -> bool:
    """Say whether something begins its line and nothing but a comment follows it there."""
    return _starts_line(text, start) and _BLANK_OR_COMMENT.match(text, end) is not None


def _starts_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _indent(text: str, at: int) -> str:
    """Return the space with which a place's line begins."""
    line = text.rfind("\n", 0, at) + 1
    return text[line : _past(_SPACES, text, line)]


def _unit(text: str) -> str:
    """Return by how much a text indents: its least, two spaces where it does not."""
    return min(_INDENTED.findall(text), key=len, default="  ")


def _style(text: str, indent: str, *, is_inline: bool) -> Style:
    newline = "\r\n" if "\r\n" in text else "\n"
    return Style(is_inline=is_inline, indent=indent, unit=_unit(text), newline=newline)


def _is_of_messages(value: str) -> bool:
    """Say whether a text is a list of messages, before which no colon is written."""
    return value.startswith("[") and value[1:].lstrip().startswith(("{", "<"))
