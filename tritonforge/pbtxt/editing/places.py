"""From a path to its place: what of it stands in a config already, and what does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from tritonforge.errors import ConfigError, did_you_mean
from tritonforge.pbtxt.descriptors import is_map, is_message
from tritonforge.pbtxt.editing import paths, schema
from tritonforge.pbtxt.editing.paths import Index, Key, Name, Step
from tritonforge.pbtxt.editing.tokens import fault
from tritonforge.pbtxt.editing.tree import Field, Listing, Message, Scalar, Value
from tritonforge.pbtxt.reading import ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A field on the way, and which of its elements; `field` is None where the schema has none."""

    name: str
    field: Any
    which: Index | Key | None = None

    @property
    def is_map(self) -> bool:
        """Say whether it leads into a map."""
        return self.field is not None and is_map(self.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A value of a field and the field that it stands in, alone or in a list at `index`."""

    field: Field
    index: int | None
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a path leads: to `elements` of the field of `leg`, or to none yet.

    `body` is the last message on the way that stands in the text, `leg` the field in it, of which
    there are `count` elements, and `rest` what the path goes on with below one that is to be made.
    """

    body: Message
    leg: Leg
    elements: tuple[Element, ...]
    count: int
    rest: tuple[Leg, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the fields of that name, lists of no elements too."""
        return fields_of(self.body, self.leg.name)

    @property
    def is_several(self) -> bool:
        """Say whether the path leads to all elements of a field that may have more than one."""
        if self.rest or self.leg.which is not None:
            return False
        if self.leg.field is not None:
            return bool(self.leg.field.is_repeated)
        return self.count > 1 or any(isinstance(each.value, Listing) for each in self.fields)


def legs(steps: tuple[Step, ...]) -> tuple[tuple[Leg, ...], tuple[Leg, ...]]:
    """Part a path into fields; the second part leads on from a map's key to what it stands for.

    Of a map whose values are messages of one scalar, that is the scalar.
    """
    found: list[Leg] = []
    descriptor: Any = ModelConfig.DESCRIPTOR
    at = 0
    while at < len(steps):
        if found and found[-1].is_map and found[-1].which is not None:
            entry = found[-1]
            found.append(_value_of(entry))
            descriptor = found[-1].field.message_type
            if descriptor is None:
                raise _no_fields(entry)
        step, following = steps[at], steps[at + 1] if at + 1 < len(steps) else None
        if not isinstance(step, Name):
            raise ConfigError(f"{paths.write(steps)} has one subscript too many")
        field = descriptor.fields_by_name.get(step.text) if descriptor is not None else None
        leg = _leg(step.text, field, following)
        found.append(leg)
        at += 1 if leg.which is None else 2
        descriptor = None if field is None else field.message_type
        if at < len(steps) and field is not None and descriptor is None:
            raise _no_fields(leg)
    return tuple(found), _tail(found[-1])


def find(text: str, body: Message, way: tuple[Leg, ...], file: Path | str) -> Place:
    """Follow a way from the whole of a text as far as it stands there."""
    descriptor: Any = ModelConfig.DESCRIPTOR
    for at, leg in enumerate(way):
        elements = _elements(body, leg.name)
        if leg.field is None and not elements:
            raise _unknown(leg, descriptor)
        rest = way[at + 1 :]
        if rest:
            _check_one(leg, rest[0], len(elements))
        chosen = _chosen(body, elements, leg)
        if not rest or not chosen:
            _check_rest(leg, rest)
            return Place(body=body, leg=leg, elements=chosen, count=len(elements), rest=rest)
        value = chosen[-1].value
        if not isinstance(value, Message):
            raise fault(text, value.start, f"{leg.name} is no message here", file)
        body, descriptor = value, leg.field.message_type if leg.field is not None else None
    raise ConfigError("a path has at least one field")


def fields_of(body: Message, name: str) -> tuple[Field, ...]:
    """Return the fields of a message by a name."""
    return tuple(each for each in body.fields if each.name == name)


def key_of(entry: Value, field: Any) -> Any:
    """Return the key of an entry of a map; without one it is the default of its kind."""
    key = field.message_type.fields_by_name["key"]
    held = fields_of(entry, "key") if isinstance(entry, Message) else ()
    if not held or not isinstance(held[-1].value, Scalar):
        return key.default_value
    value = held[-1].value
    if schema.is_string(key) and value.is_string:
        return schema.string(value)
    return schema.scalar(key, schema.written(value))


def named(value: Value) -> str | None:
    """Return the `name` that a message holds."""
    held = fields_of(value, "name") if isinstance(value, Message) else ()
    if held and isinstance(held[-1].value, Scalar) and held[-1].value.is_string:
        return schema.string(held[-1].value)
    return None


def _leg(name: str, field: Any, following: Step | None) -> Leg:
    """Take up a field with the subscript that follows it; behind a map any step is a key."""
    leg = Leg(name=name, field=field)
    if following is None or (isinstance(following, Name) and not leg.is_map):
        return leg
    if field is not None and not field.is_repeated:
        raise ConfigError(f"{name} is one value, which has no {following}")
    if leg.is_map and isinstance(following, Index) and following.number is None:
        raise ConfigError(f"{name} is a map: name the key", hint=f'write {name}["key"]')
    if leg.is_map and not isinstance(following, Key):
        text = following.text if isinstance(following, Name) else str(following.number)
        following = Key(text=text)
    assert not isinstance(following, Name)  # noqa: S101
    return Leg(name=name, field=field, which=following)


def _value_of(entry: Leg) -> Leg:
    """Lead on from the entry of a map to its value."""
    return Leg(name="value", field=entry.field.message_type.fields_by_name["value"])


def _tail(last: Leg) -> tuple[Leg, ...]:
    """Lead on from a map's key to what is set by it."""
    if not last.is_map or last.which is None:
        return ()
    value = _value_of(last)
    only = schema.lone_scalar(value.field)
    return (value,) if only is None else (value, Leg(name=only.name, field=only))


@lru_cache(maxsize=8)  # of a long list each element is asked for, one after the other
def _elements(body: Message, name: str) -> tuple[Element, ...]:
    """Return every value of a field: those that stand alone and those in lists, in their order."""
    return tuple(
        Element(field=each, index=index if each.value is not value else None, value=value)
        for each in fields_of(body, name)
        for index, value in enumerate(each.values)
    )


def _chosen(body: Message, elements: tuple[Element, ...], leg: Leg) -> tuple[Element, ...]:
    """Return those elements that a leg means; none where there is one still to be made."""
    which = leg.which
    if which is None:
        return elements
    if isinstance(which, Index):
        if which.number is None or which.number == len(elements):
            return ()
        if which.number > len(elements):
            raise ConfigError(
                f"{leg.name} has no {which}: it holds {len(elements)}",
                hint=f"{leg.name}[+] adds one",
            )
        return (elements[which.number],)
    if leg.is_map:
        return tuple(_called(body, leg.name, leg.field).get(which.text, ()))
    return _by_name(body, leg, which.text)


@lru_cache(maxsize=8)  # as above
def _called(body: Message, name: str, field: Any) -> Mapping[str, list[Element]]:
    """Return the elements of a field by their names, of a map by their keys."""
    found: dict[str, list[Element]] = {}
    keyed = field is not None and is_map(field)
    for each in _elements(body, name):
        called = str(key_of(each.value, field)) if keyed else named(each.value)
        if called is not None:
            found.setdefault(called, []).append(each)
    return found


def _by_name(body: Message, leg: Leg, name: str) -> tuple[Element, ...]:
    """Return the element of that name; raise `ConfigError` where two have it, or one nearly."""
    if leg.field is not None and (
        not is_message(leg.field) or "name" not in leg.field.message_type.fields_by_name
    ):
        raise ConfigError(
            f"what {leg.name} holds has no names", hint=f"count them from 0: {leg.name}[0]"
        )
    called = _called(body, leg.name, leg.field)
    found = tuple(called.get(name, ()))
    if len(found) > 1:
        raise ConfigError(f"{len(found)} of {leg.name} are named {name!r}", hint="use an index")
    hint = None if found else did_you_mean(name, called)
    if hint is not None:
        raise ConfigError(f"{leg.name} has none named {name!r}", hint=hint)
    return found


def _check_one(leg: Leg, below: Leg, count: int) -> None:
    """Check that what a path goes into is one message."""
    several = count > 1 if leg.field is None else leg.field.is_repeated
    if leg.which is None and several:
        raise ConfigError(
            f"{leg.name} holds several messages", hint=f"write {leg.name}[0].{below.name}"
        )


def _no_fields(leg: Leg) -> ConfigError:
    return ConfigError(f"{leg.name} holds a value, which has no fields")


def _unknown(leg: Leg, descriptor: Any) -> ConfigError:
    """Return the error of a field that neither the schema has nor the file."""
    if descriptor is None:
        return ConfigError(f"the file has no field {leg.name!r} there")
    return schema.unknown(leg.name, descriptor)


def _check_rest(leg: Leg, rest: tuple[Leg, ...]) -> None:
    """Check the part of a way that the text lacks: known fields, and first elements alone."""
    for parent, each in zip((leg, *rest), rest, strict=False):
        if each.field is None:
            raise _unknown(each, None if parent.field is None else parent.field.message_type)
        if isinstance(each.which, Index) and each.which.number:
            raise ConfigError(f"{each.name} has no {each.which}: it holds 0")
    for each, below in pairwise(rest):
        _check_one(each, below, 0)
