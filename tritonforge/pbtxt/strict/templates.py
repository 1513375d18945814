"""How templates mark the places that are to be filled in: for a shell, for Jinja, by hand."""

import re

_MARKED = re.compile(
    rb"\$\{[^{}\n]{1,99}\}|\$[A-Za-z_]\w{0,99}|\{\{[^{}\n]{1,99}\}\}|\{%[^\n]{1,99}?%\}"
    rb"|<[A-Za-z_][\w -]{0,99}>|%[A-Za-z_]\w{0,99}%|@[A-Za-z_]\w{0,99}@"
)
_HIDDEN = re.compile(rb"#\w{1,99}")  # some mark it by what turns out a comment


def marked(text: bytes, at: int) -> bytes:
    """Return the place to be filled in that begins at a byte, nothing where none does."""
    found = _MARKED.match(text, at)
    return found[0] if found else b""


def unfilled(value: str) -> str:
    """Return the first place to be filled in within a string, nothing where there is none."""
    found = _MARKED.search(value.encode("utf-8", "replace"))
    return found[0].decode("utf-8", "replace") if found else ""


def lacking(text: bytes, end: int) -> bytes:
    """Return what is to be filled in behind a name that ends at a byte, such as TYPE_."""
    hidden = _HIDDEN.match(text, end) if text[end - 1 : end] == b"_" else None
    return hidden[0] if hidden else marked(text, end)
