"""Where in a config's text the place of a finding is said to stand."""

import re

import pytest
from hypothesis import assume, given
from messages import is_map
from styles import styled

from tritonforge.check.placing import position
from tritonforge.pbtxt import strict
from tritonforge.pbtxt.editing.paths import Key


def paths(message, prefix=""):
    """Yield the paths of all that a message holds, each with the name of its field."""
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        if is_map(field):
            for key in value:
                place = f"{path}{Key(text=str(key))}"
                yield place, field.name
                if field.message_type.fields_by_name["value"].message_type is not None:
                    yield from paths(value[key], f"{place}.")
        elif field.is_repeated:
            for number, each in enumerate(value):
                yield f"{path}[{number}]", field.name
                if field.message_type is not None:
                    yield from paths(each, f"{path}[{number}].")
        else:
            yield path, field.name
            if field.message_type is not None:
                yield from paths(value, f"{path}.")


def at(text, path):
    """Return what stands in a text where a path is said to be, from there on."""
    line, column = position(text, path)
    written = text.split("\n")[line - 1]
    return written[strict.character(written, column) - 1 :]


@given(styled())
def test_a_path_leads_to_its_field_or_to_an_element_of_its_list(drawn):
    message, text = drawn
    assume("type.googleapis.com/" not in text)
    for path, name in paths(message):
        shown = at(text, path)
        is_element = path.endswith("]") and re.match(r"[{<\"'\w.-]", shown)
        assert re.match(rf"{name}\b", shown) or is_element, path


@given(styled())
def test_elements_stand_in_their_order(drawn):
    message, text = drawn
    assume("type.googleapis.com/" not in text)
    last = {}
    for path, _ in paths(message):
        if numbered := re.fullmatch(r"(.*)\[[0-9]+\]", path):
            place = position(text, path)
            assert place > last.get(numbered[1], (0, 0))
            last[numbered[1]] = place


TEXT = """\
# of the model
name: "m"
input [\r
\t{ name: "é b" dims: [ 1, 2,
      3 ] }, { name: 'a.b' }
]
instance_group { count: 1 }  instance_group { gpus: 0 gpus: [ 1, 2 ] }
parameters { key: "a" value { string_value: "1" } }
parameters [ { key: "b \\"c\\"" value { string_value: "2" } }, { value { } key: "d.e" } ]
parameters { key: "a" value { string_value: "3" } }
dynamic_batching { priority_queue_policy { key: 0x2 value { max_queue_size: 3 } } }
max_batch_size: 0 max_batch_size: 4
"""


@pytest.mark.parametrize(
    ("path", "place", "shown"),
    [
        ("", (2, 1), "name"),
        ("name", (2, 1), "name"),
        ("backend", (2, 1), "name"),
        ("input", (3, 1), "input"),
        ("input[0]", (4, 9), "{ name"),
        ('input["é b"]', (4, 9), "{ name"),
        ('input["é b"].name', (4, 11), "name"),
        ('input["é b"].dims[1]', (4, 35), "2,"),
        ('input["é b"].dims[2]', (5, 7), "3 ]"),
        ('input["é b"].dims[7]', (4, 24), "dims"),
        ('input["é b"].data_type', (4, 9), "{ name"),
        ("input[a.b]", (5, 14), "{ name: 'a.b'"),
        ("input[nowhere].dims", (3, 1), "input"),
        ("instance_group[1]", (7, 30), "instance_group { gpus"),
        ("instance_group[1].gpus[0]", (7, 47), "gpus: 0"),
        ("instance_group[1].gpus[2]", (7, 66), "2 ]"),
        ("instance_group[1].count", (7, 30), "instance_group { gpus"),
        ("parameters.a", (10, 1), "parameters"),
        ('parameters["b \\"c\\""]', (9, 14), "{ key"),
        ('parameters["d.e"]', (9, 62), "{ value"),
        ("dynamic_batching.priority_queue_policy[2]", (11, 20), "priority_queue_policy"),
        ("dynamic_batching.priority_queue_policy[2].max_queue_size", (11, 61), "max_queue_size"),
        ("dynamic_batching.preferred_batch_size[0]", (11, 1), "dynamic_batching"),
        ("max_batch_size", (12, 19), "max_batch_size: 4"),
    ],
)
def test_a_place_is_the_narrowest_that_stands(path, place, shown):
    assert position(TEXT, path) == place
    assert at(TEXT, path).startswith(shown)


@pytest.mark.parametrize("text", ["", "# nothing", "\n\n"])
def test_a_text_of_nothing_begins_at_its_beginning(text):
    assert position(text, "name") == (1, 1)
    assert position(text, "") == (1, 1)
