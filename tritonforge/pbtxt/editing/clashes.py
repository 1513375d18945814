"""What a config says twice and can say once: no server reads it, and only one of the two counts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.editing.tree import Field, Message
from tritonforge.pbtxt.reading import ModelConfig

Clash = tuple[Field, ...]


def clashes(body: Message, descriptor: Any = None) -> Iterator[Clash]:
    """Yield the fields that stand in a message where one may, of one name or of one choice."""
    known = ModelConfig.DESCRIPTOR if descriptor is None else descriptor
    rivals: dict[str, list[Field]] = {}
    for each in body.fields:
        field = known.fields_by_name.get(each.name)
        if field is None:
            continue
        if not field.is_repeated:
            choice = field.containing_oneof or field
            rivals.setdefault(choice.full_name, []).append(each)
        if field.message_type is not None:
            for value in each.values:
                if isinstance(value, Message):
                    yield from clashes(value, field.message_type)
    yield from (tuple(each) for each in rivals.values() if len(each) > 1)


def refusal(text: str, clash: Sequence[Field], file: Path | str, unset: str | None) -> ConfigError:
    """Return the error of fields of which one may stand; `unset` is the path of the first."""
    names = [*dict.fromkeys(each.name for each in clash)]
    lines = [*dict.fromkeys(str(text.count("\n", 0, each.start) + 1) for each in clash)]
    where = f"on lines {' and '.join(lines)}" if len(lines) > 1 else f"on line {lines[0]}"
    if len(names) > 1:
        said = f"exclude each other and are given {where}"
    else:
        said = f"takes one value and is given {'' if len(lines) > 1 else 'more than once '}{where}"
    return ConfigError(
        f"{file}: {' and '.join(names)} {said}",
        hint=f"delete one, or unset {unset}" if unset is not None else "delete one",
    )
