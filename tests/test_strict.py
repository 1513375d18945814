"""A config's text read as the server reads it, without one; `test_strict_server.py` asks one."""

import time

import mutating
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from styles import styled

from tritonforge import pbtxt
from tritonforge.check.placing import position
from tritonforge.pbtxt import strict


def flaws(text, triton="2.51.0"):
    """Return kind, line and column of each flaw of a text."""
    return [(each.kind, *each.place) for each in strict.read(text, triton).flaws]


def said(text, triton="2.51.0"):
    """Return the sentences of a text's flaws."""
    return [each.said for each in strict.read(text, triton).flaws]


def mended(text):
    """Return a text with every edit of its flaws made."""
    for flaw in strict.read(text.encode(), "2.51.0").flaws:
        for path, value in flaw.edits:
            text = pbtxt.unset(text, path) if value is None else pbtxt.put(text, path, value)
    return text


# --- sound texts ----------------------------------------------------------------------------------


@given(styled())
def test_what_is_sound_is_read_whole(drawn):
    message, text = drawn
    assume("type.googleapis.com/" not in text)  # which is no name for the server
    read = strict.read(text.encode())
    assert not [each for each in read.flaws if each.kind not in {"unknown", "key"}]
    assert read.is_known
    assert read.message == message


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        (b"max_batch_size: -\n# so\n4", "max_batch_size", -4),
        (b"max_batch_size: 010", "max_batch_size", 8),
        (b"name: \"\\?\\x41\\101\\u00e9\" 'b'", "name", "?AAéb"),
        (rb'name: "\ud83d\ude00"', "name", "\N{GRINNING FACE}"),
        (b'name: "a\rb"', "name", "a\rb"),
        (b'max_batch_size:1name:"x"', "name", None),
    ],
)
def test_values_are_what_the_server_makes_of_them(text, field, value):
    read = strict.read(text)
    assert value is None or getattr(read.message, field) == value
    assert bool(read.flaws) == (value is None)


@given(st.integers(0, 2**32))
def test_what_is_read_can_be_asked_for_its_places(seed):
    for text in mutating.texts(seed, 3):
        if strict.read(text).is_known:
            shown = text.decode("utf-8", "replace")
            for path in ("", "input[ids].dims[0]", "parameters[a]", "max_batch_size"):
                line, column = position(shown, path)
                assert 1 <= line <= shown.count("\n") + 1
                assert column >= 1


# --- flaws ----------------------------------------------------------------------------------------


def test_reading_goes_on_behind_a_flaw():
    text = b"""\
max_batch_size: 4.0
input [ { name: x data_type: FP32 dims: [ 99999999999999999999, "1" ] } ]
version_policy { all { } latest { } }
max_batch_size: 8 max_batch_size: 8
foo { bar: [ 1, 2 ] }
name: "x" }
max_batch_size: -
"""
    assert flaws(text) == [
        ("kind", 1, 17),
        ("kind", 2, 17),
        ("value", 2, 35),
        ("range", 2, 43),
        ("kind", 2, 65),
        ("choice", 3, 33),
        ("twice", 4, 33),
        ("unknown", 5, 5),
        ("broken", 6, 11),
    ]


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        (b"instance_group {\n  kind: KIND_CUDA\n}", (2, 9), (3, 1)),
        (b"input { data_type: TYPE_#T\n}", (1, 20), (2, 1)),
    ],
)
def test_a_place_on_another_line_is_that_of_the_fault(text, place, told):
    (flaw,) = strict.read(text, "2.51.0").flaws
    assert (flaw.place, flaw.told) == (place, told)


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (b"input [\n  { },\n]", ("broken", 3, 1)),
        (b"max_batch_size:\n\ninput { }", ("kind", 3, 1)),
        (b"input {\n  data_type:\n  dims: 1 }", ("kind", 3, 7)),
    ],
)
def test_what_is_missing_is_told_where_the_server_misses_it(text, flaw):
    assert flaws(text) == [flaw]


def test_every_place_of_a_template_is_told():
    text = b"""\
max_batch_size: ${size}
dynamic_batching { preferred_batch_size: [ ${size}, 4 ] preserve_ordering: ${ordered} }
parameters { key: "dir" value { string_value: "${dir}" } }
input { data_type: TYPE_${type} dims: [ 1, {{ width }} ] }
"""
    assert flaws(text) == [
        ("unfilled", 1, 17),
        ("unfilled", 2, 44),
        ("unfilled", 2, 76),
        ("unfilled", 4, 25),
        ("unfilled", 4, 44),
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"\tfoo: 1", (1, 12)),
        (b" \tfoo: 1", (1, 12)),
        (b'name: "\xc3\xa9" foo: 1', (1, 15)),
        (b'name: "x"\r\nfoo: 1', (2, 4)),
        (b'name: "x"\rfoo: 1', (1, 14)),
        (b"\r\tfoo: 1", (1, 12)),
        (b'# c\x0c\n\x0bname: "x" foo: 1', (2, 15)),
    ],
)
def test_columns_are_counted_in_bytes_and_tabs_reach_to_eight(text, place):
    assert flaws(text) == [("unknown", *place)]


def test_a_column_is_a_character_of_the_line():
    line = '\tname: "é" foo: 1'
    _, _, column = flaws(line.encode())[0]
    assert line[strict.character(line, column) - 1] == ":"
    assert strict.character("abc", 9) == 4


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", None),
        (b"input {", "the text ends before the '{' of line 1 is closed"),
        (b"input [ { }", "the text ends before the '[' of line 1 is closed"),
        (b"\n}", "'}' closes nothing here"),
        (b"input <\n}", "'>' is wanted here, as '<' opens on line 1; not '}'"),
        (b"input { dims: [ 1, ] }", "a comma before ']' wants another element: take it out"),
        (b"input [ { }, ]", "a comma before ']' wants another element: take it out"),
        (b"max_batch_size: ${n}", "max_batch_size still says ${n}: fill the template in"),
        (b"max_batch_size: {{ n }}", "max_batch_size still says {{ n }}: fill the template in"),
        (b"name: $NAME", "name still says $NAME: fill the template in"),
        (b"name: <model>", "name still says <model>: fill the template in"),
        (b"name: %NAME%", "name still says %NAME%: fill the template in"),
        (b"name: @NAME@", "name still says @NAME@: fill the template in"),
        (b"input { data_type: TYPE_#T\n}", "data_type still says TYPE_#T: fill the template in"),
        (b"input { data_type: TYPE_${T} }", "data_type still says TYPE_${T}: fill the template in"),
        (b"instance_group: ${groups}", "instance_group still says ${groups}: fill the template in"),
        (b"{% if x %}", "fill in {% if x %} of the template"),
        (b"input { dims: [ 1, #n ]\n}", "a value of dims is wanted here, not '}'; a comment takes"),
        (b"name:\nmax_batch_size: 8", "a value of name is wanted before 'max_batch_size'"),
        (b"input { data_type:\ndims: 1 }", "a value of data_type is wanted before 'dims'"),
        (b"instance_group { kind:\n KIND_GPU }", None),
        (b"input [ { name: 'a' }} dims: 1 ]", "',' or ']' is wanted here, not '}'"),
        (b"input [ { name: 'a' } dims: 1 ]", "',' or ']' is wanted here, not 'dims': a '}' too"),
        (b"input [ { name: 'a' } x: 1 ]", "',' or ']' is wanted here, not 'x'"),
        (b"input { dims: [ 1 2 ] }", "',' or ']' is wanted here, not '2'"),
        (b'name "x"', "':' is wanted between name and its value, not \"x\""),
        (b'name: "x', "this string has no end on its line"),
        (b'name: "\\d"', "\\d is no escape: a backslash itself is written \\\\"),
        (b'name: "\0"', "a string cannot hold a NUL byte: write it as \\000"),
        (b"\xc2\xa0", "'\\xa0' may stand in strings and comments alone: write a space"),
        (b"name: \xe2\x80\x9cx", "'\u201c' may stand in strings and comments alone: write \""),
        (b"name:\xef\xbc\x8c", "'\uff0c' may stand in strings and comments alone: write ,"),
        ("name: é".encode(), "'é' may stand in strings and comments alone"),
        (b'\xef\xbb\xbfname: "x"', "the text begins with a byte-order mark"),
        (b"max_batch_size: 1_000", "a space is wanted between a number and a name"),
        (b"max_batch_size: 08", "a number that begins with 0 is octal, which has no"),
        (b"max_batch_size: [ 4 ]", "max_batch_size takes one value, not a list"),
        (b"max_batch_size: { }", "max_batch_size takes a whole number, not '{'"),
        (b"input { optional: yes }", "optional takes true or false, not 'yes'"),
        (b"dynamic_batching: true", "dynamic_batching takes a message in braces, not 'true'"),
        (b"instance_group { kind: KIND_TPU }", "'KIND_TPU' is no value of kind: did you mean"),
        (b"input { data_type: 'FP32' }", "data_type takes a name without quotes: TYPE_FP32"),
        (b"input { data_type: 'TYPE_FP32' }", "data_type takes a name without quotes: TYPE_FP32"),
        (b"input { data_type: 'x' }", "data_type takes TYPE_INVALID, TYPE_BOOL, "),
        (b"input { type: TYPE_FP32 }", "input has no field 'type': did you mean 'data_type'?"),
        (b"input { shape: [ 1 ] }", "input has no field 'shape': did you mean 'dims'?"),
        (b"dynamic_batching { max_batch_size: 8 }", "dynamic_batching has no field 'max"),
        (b"input { data_type: FLOAT }", "'FLOAT' is no value of data_type: did you mean TYPE_FP32"),
        (b"kernel { }", "a config has no field 'kernel'"),
        (b"gpus: 1", "a config has no field 'gpus': instance_group has it"),
        (
            b"sequence_batching { max_queue_delay_microseconds: 1 }",
            "sequence_batching has no field 'max_queue_delay_microseconds': sequence_",
        ),
        (b"backends: 'a'", "a config has no field 'backends': did you mean 'backend'?"),
        (b"model_metrics { }", "a config has no field 'model_metrics' in Triton 2.51.0: it"),
        (b'parameters { key: "a" value: "b" }', 'value takes a message in braces, not "b": write'),
        (b'parameters { key: "a" } parameters { key: "a" }', None),
        (b'metric_tags { key: "a" } metric_tags { key: "a" value: "b" }', "metric_tags"),
        (b'name: "\xff"', "name is not UTF-8, and what is not is left out of what"),
    ],
)  # fmt: skip
def test_a_flaw_says_what_is_wrong(text, sentence):
    found = said(text)
    assert len(found) == (sentence is not None)
    assert not found or found[0].startswith(sentence)


def test_a_newer_release_knows_more():
    assert not flaws(b"model_metrics { }", "2.60.0")
    assert not flaws(b"model_metrics { }", None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("max_batch_size: 4.0", "max_batch_size: 4"),
        ('max_batch_size: "4"', "max_batch_size: 4"),
        ("name: x", 'name: "x"'),
        ("input { optional: yes }", "input { optional: true }"),
        ("instance_group { kind: kind_gpu }", "instance_group { kind: KIND_GPU }"),
        ('instance_group { kind: "KIND_CPU" }', "instance_group { kind: KIND_CPU }"),
        ('input { data_type: "FP32" }', "input { data_type: TYPE_FP32 }"),
        ("input { dims: [ 1, '2' ] }", "input { dims: [ 1, 2 ] }"),
        (
            'parameters { key: "a.b" value { string_value: 3 } }',
            'parameters { key: "a.b" value { string_value: "3" } }',
        ),
        ("max_batch_sizes: 4\n", "max_batch_size: 4\n"),
        ("input { type: TYPE_FP32 }", "input { data_type: TYPE_FP32 }"),
        ("dynamic_batching { preferred_batch_sizes: [ 1, 2 ] }", None),
    ],
)
def test_what_was_meant_is_offered(text, wanted):
    after = mended(text)
    assert wanted is None or after == wanted
    assert not strict.read(after.encode(), "2.51.0").flaws


@pytest.mark.parametrize(
    "text",
    [
        "max_batch_size: 4.5",
        "max_batch_sizes: 4 max_batch_size: 2",
        "max_batch_sizes: 4 Max_batch_size: 2",
        "max_batch_size: 4.0 }",
        "max_batch_size: 4.0 input { dims: [ 1, ] }",
        "max_batch_size: 4.0 name: ${name}",
        "sequence_batching { } dynamic_batchin { }",
        "sequence_batching { max_queue_delay_microseconds: 10 }",
        'parameters { kye: "a" }',
    ],
)
def test_nothing_is_offered_where_more_than_one_thing_can_be_meant(text):
    assert not [each.edits for each in strict.read(text.encode()).flaws if each.edits]


@pytest.mark.parametrize(
    "text",
    [
        b"foo {" * 200_000,
        b"foo: [" * 200_000,
        b'name: "' + b"\\q" * 200_000,
        b'name: "' + b"x" * 1_000_000,
        b"}" * 1_000_000,
        b"foo: 1\n" * 200_000,
        b"max_batch_size: " + b"9" * 1_000_000,
        b"#" * 1_000_000,
        b"\t" * 1_000_000 + b"foo: 1",
        b"\0" * 1_000_000,
        b"name: ${" + b"x" * 1_000_000,
        b"name: ${x} " * 100_000,
        b"input [ { }" + b"#" * 1_000_000 + b"\n}",
        b"name: " + b"<a" * 500_000,
        b"input { data_type: '" + b"TYPE_" * 200_000 + b"' }",
    ],
)
def test_a_hostile_text_is_told_in_no_time(text):
    before = time.process_time()
    found = strict.read(text).flaws
    assert len(found) <= 100
    assert all(len(each.said) < 300 for each in found)
    assert time.process_time() - before < 2
