"""Every config that the schema can say, drawn by hypothesis."""

from google.protobuf.descriptor import FieldDescriptor as F
from hypothesis import strategies as st

from tritonforge.pbtxt import ModelConfig

WHOLE = {
    F.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    F.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    F.TYPE_UINT32: st.integers(0, 2**32 - 1),
    F.TYPE_UINT64: st.integers(0, 2**64 - 1),
}
# What breaks text: quotes, escapes, comments, brackets, and everything that some reader takes for
# the end of a line.
NASTY = st.sampled_from(["\r\n", "{{ x }}", "{% if %}", "日本"]) | st.sampled_from(
    list("\"'\\\n\r\t\0#}ü\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ufeff")
)
TEXTS = st.lists(NASTY | st.text(max_size=4), max_size=4).map("".join)
SCALARS = {
    **WHOLE,
    F.TYPE_BOOL: st.booleans(),
    F.TYPE_FLOAT: st.floats(width=32, allow_nan=False),  # NaN is not equal to itself
    F.TYPE_DOUBLE: st.floats(allow_nan=False),
    F.TYPE_STRING: TEXTS,
    F.TYPE_BYTES: st.binary(max_size=6),
}


def values(field, depth):
    """Draw a value of a field, whatever its kind."""
    if field.type == F.TYPE_MESSAGE:
        return messages(field.message_type, depth - 1)
    if field.type == F.TYPE_ENUM:
        known = sorted(field.enum_type.values_by_number)
        # Proto3 keeps numbers that a newer schema names.
        return st.sampled_from(known) | st.integers(max(known) + 1, 2**31 - 1)
    return SCALARS[field.type]


def is_map(field):
    return field.type == F.TYPE_MESSAGE and field.message_type.GetOptions().map_entry


def fields_of(descriptor, depth):
    """List the fields that may be set: at the bottom of the depth no more messages."""
    return [each for each in descriptor.fields if depth > 0 or each.type != F.TYPE_MESSAGE]


@st.composite
def messages(draw, descriptor, depth=5):
    """Draw plain data in the form of a message: a few of its fields, at most one of each oneof."""
    chosen = (
        draw(
            st.lists(
                st.sampled_from(fields_of(descriptor, depth)),
                max_size=3,
                unique_by=lambda f: f.containing_oneof.name if f.containing_oneof else f.name,
            )
        )
        if fields_of(descriptor, depth)
        else []
    )
    return {field.name: (field, draw(content(field, depth))) for field in chosen}


def content(field, depth):
    """Draw all that one field holds."""
    if is_map(field):
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(SCALARS[key.type], values(value, depth - 1), max_size=2)
    if field.is_repeated:
        return st.lists(values(field, depth), max_size=3)
    return values(field, depth)


def fill(message, data):
    """Put drawn data into a message."""
    for name, (field, value) in data.items():
        target = getattr(message, name)
        if is_map(field):
            of_messages = field.message_type.fields_by_name["value"].type == F.TYPE_MESSAGE
            for key, item in value.items():
                if of_messages:
                    fill(target[key], item)
                else:
                    target[key] = item
        elif field.is_repeated and field.type == F.TYPE_MESSAGE:
            for item in value:
                fill(target.add(), item)
        elif field.is_repeated:
            target.extend(value)
        elif field.type == F.TYPE_MESSAGE:
            target.SetInParent()
            fill(target, value)
        else:
            setattr(message, name, value)
    return message


CONFIGS = messages(ModelConfig.DESCRIPTOR).map(lambda data: fill(ModelConfig(), data))


@st.composite
def one_path(draw):
    """Set one field that lies somewhere deep, so that every one comes up."""
    root = message = ModelConfig()
    descriptor = ModelConfig.DESCRIPTOR
    while True:
        field = draw(st.sampled_from(list(descriptor.fields)))
        if field.type != F.TYPE_MESSAGE:
            return fill(message, {field.name: (field, draw(content(field, 1)))}) and root
        descriptor, target = field.message_type, getattr(message, field.name)
        if is_map(field):
            key, value = (descriptor.fields_by_name[name] for name in ("key", "value"))
            index = draw(SCALARS[key.type])
            if value.type != F.TYPE_MESSAGE:
                target[index] = draw(SCALARS[value.type])
                return root
            message, descriptor = target[index], value.message_type
        elif field.is_repeated:
            message = target.add()
        else:
            target.SetInParent()
            message = target
        if not descriptor.fields:
            return root
