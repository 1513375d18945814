"""What a config holds that the schema does not know: a newer Triton's fields, or somebody's own."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.editing import tree
from tritonforge.pbtxt.editing.tree import Field, Message
from tritonforge.pbtxt.reading import ModelConfig, parse


def strange(body: Message, descriptor: Any = None) -> Iterator[Field]:
    """Yield the fields that the schema does not know, wherever in a message they are."""
    known = ModelConfig.DESCRIPTOR if descriptor is None else descriptor
    for each in body.fields:
        field = known.fields_by_name.get(each.name)
        if field is None:
            yield each
        elif field.message_type is not None:
            for value in each.values:
                if isinstance(value, Message):
                    yield from strange(value, field.message_type)


def parse_known(text: str, file: Path | str = "config.pbtxt") -> Any:
    """Read what the schema knows of a text; raise `ConfigError` as `parse` does.

    The rest is blanked, so that lines and columns are those of the text.
    """
    message = ModelConfig()
    message.CopyFrom(_parsed(text, file))
    return message


@lru_cache(maxsize=2)  # a text, and what becomes of it, are each asked for several times
def _parsed(text: str, file: Path | str) -> Any:
    blanked = list(text)
    for each in strange(tree.read(text, file)):
        for at in range(each.start, each.end):
            if blanked[at] != "\n":
                blanked[at] = " "
    return parse("".join(blanked), file)


def check_readable(before: str, after: str, file: Path | str = "config.pbtxt") -> None:
    """Raise `ConfigError` where a text that could be read no longer can be."""
    try:
        _parsed(before, file)
    except ConfigError:  # it is being mended, perhaps in several steps
        tree.read(after, file)
        return
    _parsed(after, file)
