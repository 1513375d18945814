"""One change of a config, drawn: its path, a value as a person writes it, and what it leads to."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor as F
from hypothesis import strategies as st
from messages import SCALARS, content, fill, is_map, messages, values
from styles import Writer

from tritonforge.pbtxt import ModelConfig


@dataclass
class Change:
    """What is set where; `after` is the message with it, `is_new` says that nothing stood there."""

    path: str
    value: str
    after: Any
    is_new: bool = False
    has_parent: bool = True


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'["{escaped}"]'


def written(draw, field, value, *, is_element=False):
    """Write a value as a person may."""
    writer = Writer(draw(st.randoms(use_true_random=False)))
    writer.is_busy, writer.newline = False, "\n"
    if field.is_repeated and not is_element:
        items = [written(draw, field, each, is_element=True) for each in value]
        if field.type == F.TYPE_STRING:
            items = [writer.string(each) for each in value]
        return draw(st.sampled_from(["[ {} ]", "[{}]", "{}"])).format(", ".join(items))
    if field.type == F.TYPE_STRING and not value.startswith(("'", '"')) and draw(st.booleans()):
        return value
    return writer.value(field, value, "")


def may(message, field):
    """Say whether a field excludes none that is set."""
    if field.containing_oneof is None:
        return True
    return message.WhichOneof(field.containing_oneof.name) in {None, field.name}


@st.composite
def change(draw, before):
    """Draw a change of a message."""
    after = ModelConfig()
    after.CopyFrom(before)
    found = Change(path="", value="", after=after)
    message = after
    while message is not None:
        message = step(draw, message, found)
    return found


def step(draw, message, found):
    """Go into one field of a message, or set it and return None."""
    candidates = [field for field in message.DESCRIPTOR.fields if may(message, field)]
    if message.ListFields() and draw(st.booleans()):
        candidates = [field for field, _ in message.ListFields()]
    field = draw(st.sampled_from(candidates))
    held = getattr(message, field.name)
    found.path += f".{field.name}" if found.path else field.name
    if is_map(field):
        return into_map(draw, field, held, found)
    if field.is_repeated and draw(st.booleans()):
        return into_list(draw, field, held, found)
    if not field.is_repeated and field.type == F.TYPE_MESSAGE:
        is_new = not message.HasField(field.name)
        held.SetInParent()
        if held.DESCRIPTOR.fields and draw(st.integers(0, 3)):
            found.has_parent &= not is_new
            return held
    found.is_new = not (
        len(held)
        if field.is_repeated
        else message.HasField(field.name)
        if field.has_presence
        else held != field.default_value
    )
    message.ClearField(field.name)
    value = draw(content(field, 1))
    found.value = written(draw, field, read_back(message, field, value))
    return None


def read_back(message, field, data):
    """Set a field from drawn data; return what the message holds then."""
    fill(message, {field.name: (field, data)})
    return getattr(message, field.name)


def into_list(draw, field, held, found):
    """Go to one element, or to a new one behind the last."""
    index = draw(st.integers(0, len(held)))
    is_new = index == len(held)
    found.path += f"[{index}]"
    if field.type != F.TYPE_MESSAGE:
        value = draw(values(field, 1))
        held.append(value)
        if not is_new:
            held[index] = held.pop()
        found.value, found.is_new = written(draw, field, held[index], is_element=True), is_new
        return None
    element = held.add() if is_new else held[index]
    if element.DESCRIPTOR.fields and draw(st.booleans()):
        found.has_parent &= not is_new
        return element
    element.Clear()
    fill(element, draw(messages(field.message_type, 1)))
    found.value, found.is_new = written(draw, field, element, is_element=True), is_new
    return None


def into_map(draw, field, held, found):
    """Go to the value of a key, there already or new."""
    kinds = field.message_type.fields_by_name
    key = (
        draw(st.sampled_from(sorted(held)))
        if held and draw(st.booleans())
        else draw(SCALARS[kinds["key"].type])
    )
    is_new = key not in held
    found.path += quoted(str(key))
    value = kinds["value"]
    if value.type != F.TYPE_MESSAGE:
        held[key] = draw(SCALARS[value.type])
        found.value, found.is_new = written(draw, value, held[key]), is_new
        return None
    inner = held[key]
    if value.message_type.name == "ModelParameter":
        inner.string_value = draw(SCALARS[F.TYPE_STRING])
        only = value.message_type.fields[0]
        found.value, found.is_new = written(draw, only, inner.string_value), is_new
        return None
    if draw(st.booleans()):
        found.has_parent &= not is_new
        return inner
    inner.Clear()
    fill(inner, draw(messages(value.message_type, 1)))
    found.value, found.is_new = written(draw, value, inner), is_new
    return None
