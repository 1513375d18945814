"""Editing a config's text: one thing changes, and every other byte stays."""

import difflib
import re

import pytest
from changes import change, quoted
from google.protobuf.descriptor import FieldDescriptor as F
from hypothesis import given, note
from hypothesis import strategies as st
from messages import NASTY, is_map
from styles import Writer, styled

from tritonforge import pbtxt, server
from tritonforge.errors import ConfigError, ServerError
from tritonforge.pbtxt import ModelConfig, differences, get, held, put, unset
from tritonforge.pbtxt.editing import paths, tree
from tritonforge.pbtxt.editing.tokens import lex
from tritonforge.pbtxt.editing.unknowns import parse_known, strange

# --- every message, in every style --------------------------------------------------------------

REMARKS = r"# comment \d+|# behind \d+"
# Python warns of escapes that are none; protobuf's reader lets them stand.
odd_escapes = pytest.mark.filterwarnings("ignore:invalid escape:DeprecationWarning")


def unknown(text):
    return [each.name for each in strange(tree.read(text))]


def words(text):
    """Return the words of a text without what parts fields."""
    return [token.text for token in lex(text, "") if token.text not in {",", ";"}]


def attempt(function, *arguments):
    """Return what a function returns, or None and what it says of it."""
    try:
        return function(*arguments), ""
    except ConfigError as error:
        return None, error.message


@given(styled())
def test_every_style_is_read(drawn):
    message, text = drawn
    assert parse_known(text) == message
    if not unknown(text):
        assert pbtxt.parse(text) == message


@given(st.data())
def test_what_is_set_is_there_and_nothing_else_has_changed(data):
    message, text = data.draw(styled())
    wanted = data.draw(change(message))
    note(f"{text!r} {wanted.path} {wanted.value!r}")
    after, said = attempt(put, text, wanted.path, wanted.value)
    if after is None:
        assert "does not know" in said
        assert re.search(r"newer_|foo\.", get(text, wanted.path))
        return
    assert parse_known(after) == wanted.after
    assert put(after, wanted.path, wanted.value) == after
    assert put(after, wanted.path, get(after, wanted.path)) == after
    assert unknown(after) == unknown(text)
    if wanted.is_new:
        assert re.findall(REMARKS, after) == re.findall(REMARKS, text)
    if wanted.is_new and wanted.has_parent:
        goes_back(message, text, unset(after, wanted.path))


def goes_back(message, text, back):
    """A field that was not there is gone again, and at most its line looks other than before."""
    assert parse_known(back) == message
    assert re.findall(REMARKS, back) == re.findall(REMARKS, text)
    assert words(back) == words(text)
    lines = difflib.ndiff(text.split("\n"), back.split("\n"))
    assert len([line for line in lines if line[0] in "+-"]) <= 2


@given(st.data())
def test_of_a_value_that_is_replaced_no_other_byte_is_touched(data):
    message, text = data.draw(styled())
    wanted = data.draw(change(message))
    is_scalar = not re.match(r"\s*[\[{<]", wanted.value) and "," not in wanted.value
    if wanted.is_new or not is_scalar:
        return
    old, _ = attempt(get, text, wanted.path)  # None of an entry of a map that holds nothing
    after, _ = attempt(put, text, wanted.path, wanted.value)  # None where unknown fields would go
    if old is None or after is None:
        return
    new = get(after, wanted.path)
    places = [each.start() for each in re.finditer(f"(?={re.escape(old)})", text)]
    whole = old.startswith("[")  # of which it may be one element that has been replaced
    assert whole or after in {text[:at] + new + text[at + len(old) :] for at in places}


@given(st.data())
def test_what_is_unset_is_gone(data):
    message, text = data.draw(styled())
    if not message.ListFields():
        return
    after = ModelConfig()
    after.CopyFrom(message)
    path = remove(data.draw, after)
    note(f"{text!r} {path}")
    back = unset(text, path)
    assert parse_known(back) == after
    if not path.endswith("]"):  # else what stood behind it has its place now
        with pytest.raises(ConfigError, match="is not set"):
            unset(back, path)


def remove(draw, message):
    """Remove one thing from a message and return its path."""
    path = ""
    while True:
        field, value = draw(st.sampled_from(message.ListFields()))
        path += f".{field.name}" if path else field.name
        if is_map(field):
            key = draw(st.sampled_from(sorted(value)))
            path += quoted(str(key))
            of = field.message_type.fields_by_name["value"]
            if of.type != F.TYPE_MESSAGE or not value[key].ListFields() or draw(st.booleans()):
                del value[key]
                return path
            message = value[key]
        elif field.is_repeated and draw(st.booleans()):
            index = draw(st.integers(0, len(value) - 1))
            path += f"[{index}]"
            if field.type != F.TYPE_MESSAGE or not value[index].ListFields():
                del value[index]
                return path
            message = value[index]
        elif field.type == F.TYPE_MESSAGE and not field.is_repeated and value.ListFields():
            message = value
        else:
            message.ClearField(field.name)
            return path


@odd_escapes
@given(
    st.lists(NASTY | st.sampled_from(["name:", "input", "{", "}", "1", "dims", "[", "]", ":"])).map(
        "".join
    )
    | st.text()
)
def test_what_protobuf_reads_is_read_and_the_rest_is_told(text):
    agrees(text)


@odd_escapes
@given(st.data())
def test_a_slip_of_the_finger_is_read_as_protobuf_reads_it(data):
    _, text = data.draw(styled())
    at, gone = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
    slip = data.draw(st.sampled_from([*"}{[],;-'\"#\n\\a1. :<>", "", "name:"]) | NASTY)
    agrees(text[:at] + slip + text[at + gone :])


def agrees(text):
    """Be as strict as protobuf is, but for fields that it does not know."""
    message, _ = attempt(pbtxt.parse, text)
    known, said = attempt(parse_known, text)
    if known is None:
        assert message is None
        assert re.match(r"config\.pbtxt:(\d+:\d+:)? ", said)
    else:
        assert known == message or unknown(text)


@given(styled(), styled(), st.data())
def test_configs_differ_where_their_messages_do(one, other, data):
    (a, text_a), (b, text_b) = one, other
    if data.draw(st.booleans()):
        b, text_b = a, Writer(data.draw(st.randoms(use_true_random=False))).whole(a)
    found = differences(text_a, text_b)
    assert differences(text_a, text_a) == ()
    if set(unknown(text_a)) != set(unknown(text_b)):
        assert found
    elif not unknown(text_a):
        assert (not found) == (a == b)
    for each in found:
        assert paths.parse(each.path)


KEYS = st.text(min_size=1).map(lambda text: paths.Key(text=text))
INDEXES = (st.none() | st.integers(0, 99)).map(lambda number: paths.Index(number=number))
NAMES = st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True).map(lambda text: paths.Name(text=text))


@given(NAMES, st.lists(NAMES | KEYS | INDEXES))
def test_every_path_is_read_as_it_was_written(first, others):
    steps = (first, *others)
    assert paths.parse(paths.write(steps)) == steps


# --- by hand ------------------------------------------------------------------------------------

BUSY = """\
# Owned by the vision team.
name: "m"   # as the folder
max_batch_size: 4  # measured { on [ an A10
input [
  {
    name: 'ids'  # token "ids"
    data_type: TYPE_INT64
    dims: [ -1 ]
  },
  { name: "b"; dims: 1; dims: 2 }
]
future_scheduling { depth: 3 name: "x" }
parameters { key: "k" value: { string_value: "v" } }
# the end
"""


def changed(before, after):
    """Return the lines that a change takes and gives."""
    lines = difflib.ndiff(before.split("\n"), after.split("\n"))
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        (
            "max_batch_size",
            "8",
            [
                "- max_batch_size: 4  # measured { on [ an A10",
                "+ max_batch_size: 8  # measured { on [ an A10",
            ],
        ),
        ("max_batch_size", "0x4", []),
        ("name", "m", []),
        ("platform", "it's", ['+ platform: "it\\\'s"']),
        (
            "dynamic_batching.max_queue_delay_microseconds",
            "100",
            ["+ dynamic_batching {", "+   max_queue_delay_microseconds: 100", "+ }"],
        ),
        ("input[ids].dims", "4, 8", ["-     dims: [ -1 ]", "+     dims: [ 4, 8 ]"]),
        ("input[ids].format", "FORMAT_NCHW", ["+     format: FORMAT_NCHW"]),
        (
            "input[1].dims",
            "[1, 3, 4]",
            [
                '-   { name: "b"; dims: 1; dims: 2 }',
                '+   { name: "b"; dims: 1; dims: 3; dims: 4 }',
            ],
        ),
        ("future_scheduling.depth", "4", None),
        ("future_scheduling.name", "y z", None),
        (
            "parameters.threads",
            "4",
            ['+ parameters { key: "threads" value { string_value: "4" } }'],
        ),
        (
            'parameters["a.b"]',
            '{"x": 1}',
            ['+ parameters { key: "a.b" value { string_value: "{\\"x\\": 1}" } }'],
        ),
        (
            "parameters.k",
            "w",
            [
                '- parameters { key: "k" value: { string_value: "v" } }',
                '+ parameters { key: "k" value: { string_value: "w" } }',
            ],
        ),
        ("instance_group[0]", "{ count: 2 }", ["+ instance_group { count: 2 }"]),
        ("instance_group[+].kind", "KIND_CPU", ["+ instance_group {", "+   kind: KIND_CPU", "+ }"]),
        ("input[+].name", "c", None),
    ],
)
def test_a_change_is_as_small_as_it_can_be(path, value, lines):
    after = put(BUSY, path, value)
    found = [line for line in changed(BUSY, after) if not line.endswith("?")]
    if lines is None:
        assert len(found) <= 6
    else:
        assert found == lines
    if "+" not in path:
        assert put(after, path, get(after, path)) == after


def test_an_accelerator_is_added_with_all_that_holds_it():
    accelerator = "optimization.execution_accelerators.gpu_execution_accelerator[tensorrt]"
    after = put('name: "m"\n', f"{accelerator}.parameters.precision_mode", "FP16")
    assert after == (
        'name: "m"\noptimization {\n  execution_accelerators {\n    gpu_execution_accelerator {\n'
        '      name: "tensorrt"\n      parameters {\n        key: "precision_mode"\n'
        '        value: "FP16"\n      }\n    }\n  }\n}\n'
    )
    assert get(after, f"{accelerator}.parameters.precision_mode") == '"FP16"'


ONE_LINE = 'name:"m",input:[{name:"x"dims:[1,2]}],instance_group{count:1},dynamic_batching<>'


@pytest.mark.parametrize(
    ("path", "value", "after"),
    [
        ("max_batch_size", "4", f"{ONE_LINE}, max_batch_size: 4"),
        ("input[0].dims[+]", "3", ONE_LINE.replace("[1,2]", "[1,2, 3]")),
        ("input[x].dims[0]", "-1", ONE_LINE.replace("[1,2]", "[-1,2]")),
        ("input[1].name", "y", ONE_LINE.replace("]}]", ']}, { name: "y" }]')),
        (
            "instance_group[1].count",
            "2",
            ONE_LINE.replace("{count:1},", "{count:1}, instance_group { count: 2 },"),
        ),
        (
            "dynamic_batching.preferred_batch_size",
            "4,8",
            ONE_LINE.replace("<>", "< preferred_batch_size: [ 4, 8 ] >"),
        ),
    ],
)
def test_what_is_on_one_line_stays_on_one_line(path, value, after):
    assert put(ONE_LINE, path, value) == after


@pytest.mark.parametrize(
    ("text", "path", "value", "new"),
    [
        (
            'backend: "x" ; max_batch_size: 4\nnew: "x"\n',
            "parameters.a",
            "b",
            'parameters {\n  key: "a"\n  value {\n    string_value: "b"\n  }\n}\n',
        ),
        ('backend: "x",\nnew: 1', "parameters", "[ ]", "\nparameters: [ ]"),
        ('backend: "x",\nnew: 1', "max_batch_size", "4", "\nmax_batch_size: 4,"),
        ('name: "m"  # mine\ninput { }\n', "max_batch_size", "4", "\nmax_batch_size: 4"),
        ('name: "m" input { }\nnew: 1\n', "backend", "x", '\nbackend: "x"'),
        (
            "input {\n  name: 'x';\n  dims: 1  # one\n}\n",
            "input[x].dims[+]",
            "2",
            "\n  dims: 2",
        ),
        ("a: 1; b: 2;", "max_batch_size", "4", " max_batch_size: 4;"),
        ("a: 1; b: 2", "max_batch_size", "4", "; max_batch_size: 4"),
        (
            "input {\n  name: 'x', dims: 1 }\n",
            "input[x].format",
            "FORMAT_NCHW",
            "\n  format: FORMAT_NCHW",
        ),
    ],
)
def test_a_new_field_is_put_in_and_no_mark_behind_the_one_before(text, path, value, new):
    after = put(text, path, value)
    assert new in after
    assert after.replace(new, "", 1) == text


@pytest.mark.parametrize(
    ("text", "path", "after"),
    [
        (BUSY, "name", BUSY.replace('name: "m"   #', "#")),
        (BUSY, "future_scheduling", BUSY.replace('future_scheduling { depth: 3 name: "x" }\n', "")),
        (BUSY, "future_scheduling.depth", BUSY.replace("depth: 3 ", "")),
        (BUSY, "input[ids].dims", BUSY.replace("    dims: [ -1 ]\n", "")),
        (BUSY, "input[b].dims[0]", BUSY.replace("dims: 1; ", "")),
        (BUSY, "input[b].dims", BUSY.replace("; dims: 1; dims: 2", ";")),
        (BUSY, "input[1]", BUSY.replace('},\n  { name: "b"; dims: 1; dims: 2 }\n', "}\n")),
        (BUSY, "parameters.k", re.sub("parameters.*\n", "", BUSY)),
        (ONE_LINE, "name", ONE_LINE.removeprefix('name:"m",')),
        (ONE_LINE, "input[0].dims[0]", ONE_LINE.replace("1,", "")),
        (ONE_LINE, "input[0]", ONE_LINE.replace('input:[{name:"x"dims:[1,2]}],', "")),
        ("gpus_of_ours: [ 1, # one\n  2 ]", "gpus_of_ours[0]", "gpus_of_ours: [ # one\n  2 ]"),
        ("[a.b]: 1 name: 'x'", "[a.b]", "name: 'x'"),
    ],
)
def test_what_is_unset_leaves_no_hole(text, path, after):
    assert unset(text, path) == after


def test_a_field_of_a_newer_triton_is_kept_read_edited_and_taken_out():
    text = 'newer { deep: [ 1 ] }\nname: "m"\n'
    assert get(text, "newer.deep") == "[ 1 ]"
    assert put(text, "newer.deep[+]", "2") == text.replace("[ 1 ]", "[ 1, 2 ]")
    assert put(text, "newer", "5") == 'newer: 5\nname: "m"\n'
    assert put(text, "max_batch_size", "4") == f"{text}max_batch_size: 4\n"
    assert unset(text, "newer") == 'name: "m"\n'


def test_a_field_that_nobody_knows_is_not_lost_with_what_holds_it():
    text = "dynamic_batching { newer: 1 preserve_ordering: true }"
    with pytest.raises(ConfigError, match="dynamic_batching holds newer, which"):
        put(text, "dynamic_batching", "{ }")
    after = put(text, "dynamic_batching", "{ newer: 1 }")
    assert after == "dynamic_batching { newer: 1 }"


def test_a_value_that_no_reader_takes_can_be_mended():
    text = 'max_batch_size: "four"\nname: "m"\n'
    assert put(text, "max_batch_size", "4") == 'max_batch_size: 4\nname: "m"\n'
    assert put(text, "platform", "x") == f'{text}platform: "x"\n'


@pytest.mark.parametrize(
    ("path", "value", "said", "hint"),
    [
        ("max_batch_sise", "4", "ModelConfig has no field 'max_batch_sise'", "'max_batch_size'"),
        ("max_batch_size", "four", "whole number from -2147483648 to 2147483647; not 'four'", ""),
        ("max_batch_size", "1_000", "whole number", ""),
        ("max_batch_size", "2147483648", "whole number", ""),
        ("max_batch_size", "9" * 5000, "whole number", ""),
        ("input[" + "9" * 5000 + "]", "{ }", "no list is that long", ""),
        ("max_batch_size", "[4]", "one value of max_batch_size", ""),
        ("max_batch_size", '4 name: "x"', "whole number", ""),
        ("max_batch_size.x", "4", "max_batch_size holds a value", ""),
        ("max_batch_size[0]", "4", r"max_batch_size is one value, which has no \[0\]", ""),
        ("instance_group[0].kind", "KIND_GPUS", "kind has no value 'KIND_GPUS'", "'KIND_GPU'"),
        (
            "instance_group[3].count",
            "1",
            r"instance_group has no \[3\]: it holds 0",
            "instance_group[+]",
        ),
        ("instance_group.count", "1", "several messages", "instance_group[0].count"),
        ("instance_group[0]", "{ cuont: 1 }", "no field 'cuont'", "'count'"),
        ("instance_group[0]", "{ count: 1 count: 2 }", "is given twice", ""),
        ("instance_group[0]", "{ count: x }", "count takes a whole number", ""),
        ("instance_group[0]", "3", "instance_group takes a message between braces", ""),
        ("instance_group[0].gpus", "0, x", "gpus takes a whole number", ""),
        ("instance_group[0].profile", "a,,b", "an element is empty", ""),
        ("instance_group[0].passive", "yes", "takes true or false; not 'yes'", ""),
        ("sequence_batching", "{ }", "exclude each other", "unset dynamic_batching first"),
        ("version_policy", "{ all { } latest { } }", "all and latest exclude each other", ""),
        ("dynamic_batching.default_queue_policy.max_queue", "1", "no field", "max_queue_size"),
        ("input[idz].dims", "1", "input has none named 'idz'", "'ids'"),
        ("input[ids]", '{ name: "b" }', "without that name", 'name: "ids"'),
        ("input[ids].dims[5]", "1", r"dims has no \[5\]: it holds 1", ""),
        ("input[ids].dims[a]", "1", "what dims holds has no names", "dims[0]"),
        ("name", '"m', "name takes a string", ""),
        ("name", '"\\q"', "name takes a string", ""),
        ("name", "\udcff", "not UTF-8", ""),
        ("metric_tags[+]", "x", "metric_tags is a map", 'metric_tags["key"]'),
        ("nobody", "1", "ModelConfig has no field 'nobody'", ""),
        ("dynamic_batching.priority_queue_policy.x.max_queue_size", "1", "whole number", ""),
        ("", "1", "'' is no path: it is empty", ""),
        ("a..b", "1", "the name of a field is missing at character 3", ""),
        ("a[-1]", "1", "not negative", ""),
        ("a[", "1", r"closing '\]'", ""),
        ("a[0]b", "1", "cannot follow", ""),
    ],
    ids=lambda value: value[:40],
)
def test_what_triton_would_refuse_is_refused(path, value, said, hint):
    text = 'input { name: "ids" dims: 1 } dynamic_batching { }'
    with pytest.raises(ConfigError, match=said) as caught:
        put(text, path, value)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name: "m', r"^config\.pbtxt:1:7: this string has no end on its line"),
        ("input {\n  name: 'x'\n", r":3:1: '}' is wanted here"),
        ("max_batch_size 4", r":1:16: ':' is wanted here"),
        ("input [ { } { } ]", r":1:13: ',' is wanted here"),
        ("dims: [ 1, ]", r":1:12: a value is wanted here"),
        ("dims: [ [ 1 ] ]", r":1:9: a value is wanted here"),
        ("{ }", r":1:1: the name of a field is wanted here"),
        ("name: é", r":1:7: 'é' means nothing here"),
        ("a {" * 200, r":1:\d+: messages lie more than 100 deep here"),
        ("a: <b: 1}", r":1:9: the name of a field is wanted here"),
        ("[a b: 1", r":1:5: '\]' is wanted here"),
        ("a:", r":1:3: a value is wanted here"),
    ],
)
def test_bad_text_is_told_by_line_and_column(text, said):
    for act in (
        lambda: get(text, "name"),
        lambda: put(text, "name", "x"),
        lambda: held(text, None),
    ):
        with pytest.raises(ConfigError, match=said):
            act()


def test_a_field_given_twice_is_told():
    text = "name: 'a'\nname: 'b'\n"
    with pytest.raises(ConfigError, match="name takes one value and is given on lines 1 and 2"):
        put(text, "name", "c")
    assert unset(text, "name") == ""


def test_what_is_not_set_is_told():
    for path in ("platform", "input[0]", "parameters.k", "dynamic_batching.preserve_ordering"):
        with pytest.raises(ConfigError, match=f"{re.escape(path)} is not set"):
            get('name: "m"', path)


@pytest.mark.parametrize(
    ("path", "said", "hint"),
    [
        ("input[c].dims", "there is no input 'c'", "the file has 'odd', 'x'"),
        ("input[c]", "there is no input 'c'", "the file has 'odd', 'x'"),
        ("output[y].dims", "there is no output 'y'", "the file has none"),
        ("input[2].dims", "input[2].dims is not set", "input holds 2, counted from 0"),
        ("parameters.c", "parameters.c is not set", "the file has 'a', 'b'"),
        ("metric_tags.c", "metric_tags.c is not set", "f leaves it to Triton"),
        ("input[x].dims", "input[x].dims is not set", "f leaves it to Triton"),
    ],
)
def test_of_elements_that_are_not_there_those_that_are_are_told(path, said, hint):
    text = """input { name: "odd" dims: 1 } input { name: "x" }
    parameters { key: "a" value { } } parameters { key: "b" value { } }"""
    for act in (lambda: get(text, path, "f"), lambda: unset(text, path, "f")):
        with pytest.raises(ConfigError) as caught:
            act()
        assert (caught.value.message, caught.value.hint) == (said, hint)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("max_batch_size", 4),
        ("input[ids].data_type", "TYPE_INT64"),
        ("input[ids].dims", [-1]),
        ("input[b]", {"name": "b", "dims": [1, 2]}),
        ("parameters", {"k": {"string_value": "v"}}),
        ("parameters.k", "v"),
        ("future_scheduling", '{ depth: 3 name: "x" }'),
    ],
)
def test_a_config_as_plain_data(path, value):
    assert held(BUSY, path) == value
    if "." not in path and "[" not in path:
        assert held(BUSY, None)[path] == value


def told(a, b):
    return {each.path: (each.a, each.b) for each in differences(a, b)}


def test_two_configs_are_compared_field_by_field():
    other = put(put(BUSY, "max_batch_size", "8"), "input[b].dims", "7")
    other = unset(put(other, "future_scheduling.depth", "5"), "name")
    assert told(BUSY, other) == {
        "name": ("m", None),
        "max_batch_size": (4, 8),
        "input[b].dims": ([1, 2], [7]),
        "future_scheduling": ('{ depth: 3 name: "x" }', '{ depth: 5 name: "x" }'),
    }


def test_what_says_the_same_does_not_differ():
    a = 'max_batch_size: 0 instance_group { count: 2 } parameters { key: "k" value { } } newer: 1'
    b = "# other\nnewer:1\nparameters: [ < key: 'k' > ]\ninstance_group: [ { count: 0x2 } ]"
    assert told(a, b) == {}
    assert told("dynamic_batching { }", "") == {"dynamic_batching": ({}, None)}
    assert told("newer: 1", "newer: 1.0") == {"newer": ("1", "1.0")}


def test_the_order_of_named_elements_is_told_as_such():
    a, b = 'input { name: "x" } input { name: "y" }', 'input [ { name: "y" }, { name: "x" } ]'
    assert told(a, b) == {"input": (["x", "y"], ["y", "x"])}
    more = 'input { name: "z" dims: 1 }'
    assert told(a, f"{more} {a}") == {"input[z]": (None, {"name": "z", "dims": [1]})}


def test_a_config_that_cannot_be_read_is_not_compared():
    with pytest.raises(ConfigError, match=r"b\.pbtxt:1:17: "):
        differences("newer: 1", "max_batch_size: x newer: 1", "a.pbtxt", "b.pbtxt")


# --- beside the real server ---------------------------------------------------------------------

TAKEN = {
    "sequence_batching.direct.minimum_slot_utilization": (
        "inf -inf Infinity nan 1.5f 2F .5 1. 1.e3 1e+3f -.5 0",
        "inff nanf 0x1 01 +1 1_0 1.5ff 1e",
    ),
    "max_batch_size": ("0x10 010 0 -1", "1_0 0b1 0o7 +1 1.0 2147483648 08"),
    "optimization.eager_batching": ("t f true False 1", "T TRUE 2 yes"),
    "optimization.priority": ("1 99 PRIORITY_MAX", "PRIORITY_MOST"),
    "default_model_filename": (
        r'"\x4" "\u00e9" "\U0010FFFF" "\0\a\v" "a""b"',
        r'"\x" "\u12" "\8" "\q" "\N{BULLET}" "\X41"',
    ),
}


def test_a_value_is_taken_where_the_real_server_reads_it(embedded, tmp_path):
    """It refuses every config here: for what the config lacks, or for a value that is none."""
    written = {}
    for path, columns in TAKEN.items():
        for is_taken, column in zip((True, False), columns, strict=True):
            for value in column.split():
                name = f"m{len(written)}"
                written[name] = (path, value, is_taken)
                (tmp_path / name).mkdir()
                text = put("", path, "0" if "file" not in path else "x").replace("\n", " ")
                text = text.replace(get(text, path), value)
                (tmp_path / name / "config.pbtxt").write_text(f'{text} name: "other"')
    said = []
    with (
        pytest.raises(ServerError),
        server.serving(tmp_path, embedded, show=said.append),
    ):
        pass
    log = "\n".join(said)
    for name, (path, value, is_taken) in written.items():
        found = re.search(f"model directory '{name}': (failed to read text proto)?", log)
        assert found, (path, value)
        assert (found[1] is None) == is_taken, (path, value)
        after, _ = attempt(put, "", path, value)
        assert (after is not None) == is_taken, (path, value)
