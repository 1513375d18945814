"""From the message to its text: fields in the order in which people read them, none dropped."""

import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import text_encoding, text_format
from google.protobuf.message import Message

from tritonforge.errors import ConfigError, SpecError

TEMPLATE = "config.pbtxt.j2"
_LONGEST = 64 << 20  # characters: one that goes on for ever should not take all memory


def render(
    message: Any, reasons: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """Return the text of a config; `parse(render(c)) == c` for every `c`.

    `reasons` say in comments why a field of the config is as it is. Templates in `folder` go before
    ours; they may be anybody's, so they reach nothing but what they are given. Raises `ConfigError`
    where one of them fails.
    """
    from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    if folder is not None:
        check_templates(folder)
    folders = [templates()] if folder is None else [folder, templates()]
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(folders), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {
        "quote": _quote,
        "enum": _enum,
        "only": _only,
        "rest": _rest,
        "indented": _indented,
    }
    try:
        template = environment.get_template(TEMPLATE)
        return _bounded(template.generate(config=message, reasons=reasons or {}))
    except Exception as error:
        if folder is None:
            raise
        line = getattr(error, "lineno", None) or _line(error, folder)
        where = f"{folder / TEMPLATE}:{line}" if line else str(folder / TEMPLATE)
        kind = "" if isinstance(error, TemplateError | ConfigError) else f"{type(error).__name__}: "
        raise ConfigError(f"{where}: {kind}{error}", hint="mend the template") from error


def _bounded(parts: Iterable[str]) -> str:
    """Put a text together; raises `ConfigError` where it is too long to be a config."""
    text, length = [], 0
    for part in parts:
        text.append(part)
        length += len(part)
        if length > _LONGEST:
            raise ConfigError(f"the text grows beyond {_LONGEST >> 20} MiB, which no config has")
    return "".join(text)


def check_templates(folder: Path) -> None:
    """Raise `SpecError` where a folder holds no template of a config."""
    if (folder / TEMPLATE).is_file():
        return
    what = f"{folder} holds no {TEMPLATE}" if folder.is_dir() else f"there is no folder {folder}"
    raise SpecError(what, hint=f"write {TEMPLATE} there; ours is in {templates()}")


def fill(name: str, *, filters: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return the text of another template of ours."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - no HTML
        loader=FileSystemLoader(templates()), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= filters
    return environment.get_template(name).render(values)


def _line(error: Exception, folder: Path) -> int | None:
    """Return the line of a template in which an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [each.lineno for each in frames if each.filename.startswith(str(folder))]
    return inside[-1] if inside else None


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
