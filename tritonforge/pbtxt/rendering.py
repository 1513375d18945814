"""From the message to its text: fields in the order in which people read them, none dropped."""

from pathlib import Path
from typing import Any

from google.protobuf import text_encoding, text_format
from google.protobuf.message import Message


def render(message: Any) -> str:
    """Return the text of a config; `parse(render(c)) == c` for every `c`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - protobuf text, not HTML
        loader=FileSystemLoader(templates()),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "quote": _quote,
        "enum": _enum,
        "only": _only,
        "rest": _rest,
        "indented": _indented,
    }
    return environment.get_template("config.pbtxt.j2").render(config=message)


def templates() -> Path:
    """Return the folder of templates: inside an installed wheel, else beside it in a checkout."""
    packaged = Path(__file__).parents[1] / "_templates"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "templates"


def _quote(text: str) -> str:
    """Write a protobuf string literal."""
    return f'"{text_encoding.CEscape(text, as_utf8=True)}"'


def _enum(message: Message, field: str) -> str:
    """Write an enum field by name, an unknown number as it is."""
    number = getattr(message, field)
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    name: str = values[number].name if number in values else str(number)
    return name


def _only(message: Message, *fields: str) -> str:
    """Print the named fields of a message."""
    others = {field.name for field, _ in message.ListFields()} - set(fields)
    return _rest(message, *others)


def _rest(message: Message, *fields: str) -> str:
    """Print all fields of a message but the named ones."""
    copy = type(message)()
    copy.CopyFrom(message)
    for field in fields:
        copy.ClearField(field)
    text: str = text_format.MessageToString(copy, as_utf8=True)
    return text.rstrip("\n")


def _indented(text: str, by: int) -> str:
    """Put each line on a line of its own, `by` spaces in; nothing for nothing.

    Only a newline ends a line: strings may hold what else `splitlines` would take for an end.
    """
    return "".join(f"\n{' ' * by}{line}" for line in text.split("\n") if line)
