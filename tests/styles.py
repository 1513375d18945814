"""Configs as people write them: one message in every style that protobuf's text has."""

import math

from google.protobuf import text_encoding
from google.protobuf.descriptor import FieldDescriptor as F
from hypothesis import strategies as st
from messages import CONFIGS, is_map, one_path

STRANGE = (
    "newer_{}: 5",
    "newer_{}: -0.5f",
    "newer_{} {{ a: 1 b {{ c: 'x' }} }}",
    "newer_{}: [ 1, 2 ]",
    "newer_{} [ {{ a: 1 }}, < a: 2 > ]",
    'newer_{}: \'a # {{ " \' "b"',
    "[foo.bar_{}]: KIND_NEW",
    "[type.googleapis.com/foo.Bar{}] {{ a: inf }}",
)


class Writer:
    """Writes messages; every choice of style is drawn from `random`."""

    def __init__(self, random):
        self.random = random
        self.is_inline = random.random() < 0.25
        self.is_busy = random.random() < 0.6  # with comments and unknown fields
        self.newline = random.choice(["\n", "\n", "\r\n"])
        self.unit = random.choice(["  ", "    ", "\t", ""])
        self.count = 0

    def chance(self, share=0.5):
        return self.random.random() < share

    def whole(self, message):
        """Write a whole config."""
        parts = self.fields(message)
        if self.is_inline:
            return " ".join(parts) + self.random.choice(["", self.newline, "  "])
        text = "".join(self.comment("") + part + self.tail() + self.newline for part in parts)
        return text.removesuffix(self.newline) if self.chance(0.2) else text + self.comment("")

    def comment(self, indent):
        """Write a comment on a line of its own, now and then."""
        if self.is_inline or not self.is_busy or self.chance(0.8):
            return ""
        self.count += 1
        return f'{indent}# comment {self.count}: {{ "{self.newline}'

    def tail(self):
        """Write a comment behind something, now and then."""
        if self.is_inline or not self.is_busy or self.chance(0.8):
            return ""
        self.count += 1
        return f"  # behind {self.count} ]"

    def fields(self, message, indent=""):
        """Write the fields of a message, each of them whole."""
        parts = []
        separator = self.random.choice(["", "", "", ",", ";"])
        for field, value in message.ListFields():
            parts += [each + separator for each in self.field(field, value, indent)]
        if self.is_busy and self.chance(0.3):
            self.count += 1
            strange = self.random.choice(STRANGE).format(self.count)
            parts.insert(self.random.randrange(len(parts) + 1), strange)
        return parts

    def field(self, field, value, indent):
        """Write a field: a repeated one as a list, alone, or both."""
        if not field.is_repeated:
            return [self.single(field, value, indent)]
        if is_map(field):
            items = [self.entry(field, key, value[key], indent) for key in value]
        else:
            items = [self.value(field, each, indent) for each in value]
        colon = ": " if field.type != F.TYPE_MESSAGE or self.chance() else self.space()
        at = self.random.choice([0, len(items), self.random.randrange(len(items) + 1)])
        found = [f"{field.name}{colon}{each}" for each in items[:at]]
        if items[at:]:
            found.append(f"{field.name}{colon}{self.listing(items[at:], indent)}")
        return found

    def space(self):
        return self.random.choice([" ", "  ", ""])

    def listing(self, items, indent):
        if self.is_inline or self.chance():
            space = self.random.choice(["", " "])
            return f"[{space}{', '.join(items)}{space}]"
        deeper = indent + self.unit
        lines = [
            self.comment(deeper)
            + deeper
            + each
            + ("," if index < len(items) - 1 else "")
            + self.tail()
            + self.newline
            for index, each in enumerate(items)
        ]
        return f"[{self.newline}{''.join(lines)}{indent}]"

    def single(self, field, value, indent):
        colon = ": " if field.type != F.TYPE_MESSAGE or self.chance(0.3) else self.space()
        return f"{field.name}{colon}{self.value(field, value, indent)}"

    def value(self, field, value, indent):
        if field.type == F.TYPE_MESSAGE:
            return self.braced(self.fields(value, indent + self.unit), indent)
        return self.scalar(field, value)

    def entry(self, field, key, value, indent):
        kinds = field.message_type.fields_by_name
        deeper = indent + self.unit
        parts = [
            f"key: {self.scalar(kinds['key'], key)}",
            self.single(kinds["value"], value, deeper),
        ]
        return self.braced(parts, indent)

    def braced(self, parts, indent):
        opening, closing = self.random.choice(["{}", "{}", "<>"])
        if self.is_inline or (self.chance(0.4) and not any("\n" in each for each in parts)):
            space = self.random.choice(["", " "])
            return f"{opening}{space}{' '.join(parts)}{space}{closing}"
        deeper = indent + self.unit
        lines = [
            self.comment(deeper) + deeper + each + self.tail() + self.newline for each in parts
        ]
        return f"{opening}{self.tail()}{self.newline}{''.join(lines)}{indent}{closing}"

    def scalar(self, field, value):
        if field.type == F.TYPE_STRING:
            return self.string(value)
        if field.type == F.TYPE_BOOL:
            return self.random.choice(["true", "1", "t"] if value else ["false", "0", "f"])
        if field.type == F.TYPE_ENUM:
            known = field.enum_type.values_by_number.get(value)
            return str(value) if known is None or self.chance(0.2) else known.name
        if field.type in {F.TYPE_FLOAT, F.TYPE_DOUBLE}:
            return repr(value) + (self.random.choice(["", "f"]) if math.isfinite(value) else "")
        sign, size = "-" if value < 0 else "", abs(value)
        return sign + self.random.choice([str(size), hex(size), f"0{size:o}"])

    def string(self, value):
        quote = self.random.choice("\"'")
        at = self.random.randrange(len(value) + 1) if self.chance(0.2) else 0
        parts = [value[:at], value[at:]] if at else [value]
        return " ".join(
            f"{quote}{text_encoding.CEscape(each, as_utf8=self.chance())}{quote}" for each in parts
        )


@st.composite
def styled(draw, messages=None):
    """Draw a message and a text of it."""
    message = draw(messages if messages is not None else CONFIGS | one_path())
    return message, Writer(draw(st.randoms(use_true_random=False))).whole(message)
