"""Reading and changing one thing in a config's text, with every other byte left as it is.

A text may hold fields that the schema does not know, in any style that protobuf's text has. What a
person writes as a value is text of protobuf too, but for strings, whose quotes may be left out.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.editing import layout, literals, paths, schema, tree
from tritonforge.pbtxt.editing.absent import absence
from tritonforge.pbtxt.editing.clashes import refusal
from tritonforge.pbtxt.editing.layout import Piece, Style
from tritonforge.pbtxt.editing.paths import Index, Key
from tritonforge.pbtxt.editing.places import Element, Leg, Place, fields_of, find, legs, named
from tritonforge.pbtxt.editing.plain import plain, plain_field, plain_value
from tritonforge.pbtxt.editing.tree import Listing
from tritonforge.pbtxt.editing.unknowns import check_readable, strange

_File = Path | str
_CONFIG = "config.pbtxt"


def get(text: str, path: str, file: _File = _CONFIG) -> str:
    """Return what stands at a path, as it is written; several elements as one list.

    Raises `ConfigError` where nothing does.
    """
    place = _standing(text, _way(path), path, file)
    if not place.is_several:
        return _written(text, _only(text, place, file))
    if len(place.fields) == 1 and isinstance(place.fields[0].value, Listing):
        value = place.fields[0].value
        return text[value.start : value.end]
    return literals.listed([_written(text, each) for each in place.elements])


def held(text: str, path: str | None, file: _File = _CONFIG) -> Any:
    """Return what `get` returns as plain data, or with None as path the whole config."""
    if path is None:
        return plain(text, tree.read(text, file))
    place = _standing(text, _way(path), path, file)
    if place.is_several:
        return plain_field(text, place.fields, place.leg.field)
    return plain_value(text, _only(text, place, file).value, place.leg.field)


def put(text: str, path: str, value: str, file: _File = _CONFIG) -> str:
    """Return the text with a value at a path; it is the same text where the value is there.

    What does not exist is made at the end of what holds it, or where a config begins. Raises
    `ConfigError` for a value that the field does not take, a path that leads nowhere, or a value
    that would stand in the place of fields that the schema does not know.
    """
    way = _way(path)
    kept = [each.name for each in strange(tree.read(text, file))]
    after = _put(text, way, value, kept, file)
    check_readable(text, after, file)
    left = Counter(each.name for each in strange(tree.read(after, file)))
    lost = sorted((Counter(kept) - left).keys())
    if lost and way[-1].field is not None:
        raise ConfigError(
            f"{path} holds {', '.join(lost)}, which tritonforge does not know and would be lost",
            hint="set its fields one by one, write those into the value too, or unset it first",
        )
    return after


def unset(text: str, path: str, file: _File = _CONFIG) -> str:
    """Return the text without what stands at a path: a field, an element or a map's entry.

    A line that held nothing else goes with it, a comment behind it stays. Messages that held it
    stay, though empty. Raises `ConfigError` where nothing stands there.
    """
    way, _ = legs(paths.parse(path))
    _standing(text, way, path, file)
    after = _remove(text, way, file)
    check_readable(text, after, file)
    return after


def _way(path: str) -> tuple[Leg, ...]:
    """Return the fields that a path leads through to a value."""
    way, tail = legs(paths.parse(path))
    return (*way, *tail)


def _standing(text: str, way: tuple[Leg, ...], path: str, file: _File) -> Place:
    """Find a place; raise `ConfigError` where the config does not hold it."""
    place = find(text, tree.read(text, file), way, file)
    if place.rest or not (place.elements or (place.is_several and place.fields)):
        raise absence(place, path, file)
    return place


def _only(text: str, place: Place, file: _File) -> Element:
    """Return the element of a place; raise `ConfigError` for a field that takes one and has two."""
    leg = place.leg
    if leg.field is not None and not leg.field.is_repeated and len(place.elements) > 1:
        raise refusal(text, [each.field for each in place.elements], file, leg.name)
    return place.elements[-1]


def _written(text: str, element: Element) -> str:
    return text[element.value.start : element.value.end]


def _put(text: str, way: tuple[Leg, ...], value: str, kept: Collection[str], file: _File) -> str:
    """Put a value at the end of a way."""
    place = find(text, tree.read(text, file), way, file)
    if place.is_several and place.fields:
        return _put_all(text, way, place, value, kept, file)
    if place.rest or not place.elements:
        return _create(text, place, value, kept)
    element = _only(text, place, file)
    old = _written(text, element)
    words = literals.one(value, place.leg.field, old=old, kept=kept)
    _check_name(place.leg, words)
    if literals.same(old, words, place.leg.field):
        return text
    text = layout.swap(text, element.value, words)
    if element.field.has_colon or words.startswith(("{", "<")):
        return text
    return f"{text[: element.field.name_end]}:{text[element.field.name_end :]}"


def _put_all(
    text: str,
    way: tuple[Leg, ...],
    place: Place,
    value: str,
    kept: Collection[str],
    file: _File,
) -> str:
    """Make the elements of a field those of a list, one after the other."""
    wanted = literals.several(value, place.leg.field, kept=kept)
    if not wanted:
        first, *others = place.fields
        for each in reversed(others):
            text = layout.cut_field(text, each)
        return layout.swap(text, first.value, "[ ]") if first.values else text

    def at(index: int | None) -> tuple[Leg, ...]:
        return (*way[:-1], replace(way[-1], which=Index(number=index)))

    for index in reversed(range(len(wanted), place.count)):
        text = _remove(text, at(index), file)
    for index, words in enumerate(wanted):
        text = _put(text, at(index), words, kept, file)
    return text


def _create(text: str, place: Place, value: str, kept: Collection[str]) -> str:
    """Put in what a way lacks: a field, an element, and the messages that hold it."""
    leg, last = place.leg, (place.leg, *place.rest)[-1]
    _check_choice(place)
    if last.which is None and last.field is not None and last.field.is_repeated:
        words = literals.listed(literals.several(value, last.field, kept=kept))
    else:
        words = literals.one(value, last.field, kept=kept)
    _check_name(last, words)
    content = _content(leg, place.rest, words)
    if leg.which is None or not place.fields:
        return layout.add_field(text, place.body, Piece(name=leg.name, value=content))
    field = place.fields[-1]
    if not isinstance(field.value, Listing):
        piece = Piece(name=leg.name, value=content)
        return layout.add_field(text, place.body, piece, field)

    def write(style: Style) -> str:
        return content if isinstance(content, str) else layout.braced(content, style)

    return layout.add_item(text, field.value, write)


def _content(leg: Leg, rest: tuple[Leg, ...], words: str) -> str | tuple[Piece, ...]:
    """Return what an element holds: words, or the fields that lead to them."""
    if not rest:
        return words
    inner = Piece(name=rest[0].name, value=_content(rest[0], rest[1:], words))
    if not isinstance(leg.which, Key):
        return (inner,)
    if not leg.is_map:
        return (Piece(name="name", value=schema.quote(leg.which.text)), inner)
    key = leg.field.message_type.fields_by_name["key"]
    text = schema.quote(leg.which.text) if schema.is_string(key) else leg.which.text
    return (Piece(name="key", value=literals.one(text, key)), inner)


def _remove(text: str, way: tuple[Leg, ...], file: _File) -> str:
    """Take out what a way leads to, however often it stands there."""
    place = find(text, tree.read(text, file), way, file)
    if place.leg.which is None:
        for each in reversed(place.fields):
            text = layout.cut_field(text, each)
        return text
    *more, last = place.elements
    text = _cut(text, last)
    return _remove(text, way, file) if more else text


def _cut(text: str, element: Element) -> str:
    """Take out one element, and its field where nothing is left of that."""
    value = element.field.value
    if element.index is None or not isinstance(value, Listing):
        return layout.cut_field(text, element.field)
    if len(value.items) > 1:
        return layout.cut_item(text, value, element.index)
    around = text[value.start : element.value.start] + text[element.value.end : value.end]
    if "#" in around:
        return layout.cut(text, element.value.start, element.value.end)
    return layout.cut_field(text, element.field)


def _check_name(leg: Leg, words: str) -> None:
    """Raise `ConfigError` where a message that a path calls by a name has another."""
    if not isinstance(leg.which, Key) or leg.is_map:
        return
    name = named(tree.read_value(words))
    if name != leg.which.text:
        raise ConfigError(
            f"{leg.name}{leg.which} is to be a message without that name",
            hint=f"give it name: {schema.quote(leg.which.text)}",
        )


def _check_choice(place: Place) -> None:
    """Raise `ConfigError` where a field excludes one that stands there."""
    field = place.leg.field
    if field is None or field.containing_oneof is None:
        return
    for other in field.containing_oneof.fields:
        if other.name != field.name and fields_of(place.body, other.name):
            raise ConfigError(
                f"{field.name} and {other.name} exclude each other, and {other.name} is set",
                hint=f"unset {other.name} first",
            )
