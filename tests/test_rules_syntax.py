"""What rules find of a config's text, each where it is broken and where it is not."""

import pytest

from tritonforge.check import check, fixing
from tritonforge.release import EMBEDDED, find
from tritonforge.repository import Repository

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
SOUND = b'name: "m"\nbackend: "onnxruntime"\nmax_batch_size: 8\n'


def found(tmp_path, more, target=EMBEDDED):
    """Return code, line and column of what is found of a text's syntax, or its fields."""
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    (folder.parent / "config.pbtxt").write_bytes(SOUND + more)
    findings = check(Repository(tmp_path), target=find(target)).findings
    return [
        (each.rule.code, each.line, each.column)
        for each in findings
        if each.rule.code[:3] in {"SYN", "FLD"}
    ]


@pytest.mark.parametrize(
    ("more", "code", "line", "column"),
    [
        (b"input {", "SYN101", 4, 8),
        (b"version_policy: 3", "SYN102", 4, 17),
        (b"input { dims: (4) }", "SYN102", 4, 15),  # no text of protobuf either, told once
        (b"input { dims: [ 1, 1.5 ] }", "SYN102", 4, 20),
        (b"dynamic_batching { max_queue_delay_microseconds: -1 }", "SYN103", 4, 50),
        (b'\nname: "m"', "SYN104", 5, 5),
        (b"dynamic_batching { }\nensemble_scheduling { }", "SYN105", 5, 21),
        (b"instance_group { kind: KIND_X\n}", "SYN106", 4, 24),
        (b"instance_group { count: ${count} }", "SYN107", 4, 25),
        (b'parameters { key: "a" value { string_value: "\xe9" } }', "SYN201", 4, 45),
        (b'metric_tags { key: "a" }\nmetric_tags { key: "a" value: "b" }', "SYN202", 5, 13),
        (b"kernels: 3", "FLD103", 4, 8),
    ],
)
def test_a_flaw_is_found_with_its_place(tmp_path, more, code, line, column):
    assert found(tmp_path, more) == [(code, line, column)]


@pytest.mark.parametrize(
    "more",
    [
        b"",
        b"# \xff",
        b"input { dims: [ 1, -1 ] };",
        b"dynamic_batching { max_queue_delay_microseconds: 0xFFFF }",
        b'label: "" '.replace(b"label", b"platform") * 2,
        b"dynamic_batching { }",
        b"instance_group { kind: 2 }",
        'parameters { key: "a" value { string_value: "é" } }'.encode(),
        b'parameters { key: "a" }\nparameters { key: "b" }',
        b'metric_tags { key: "a" value: "b" }\nmetric_tags { key: "a" value: "b" }',
        b'parameters { key: "a" value { string_value: "${dir}" } }',
    ],
)
def test_a_sound_text_has_no_flaw(tmp_path, more):
    assert not found(tmp_path, more)


@pytest.mark.parametrize(
    "line",
    [
        'backend: "${triton_backend}"',
        'backend: "{{ backend }}"',
        'platform: "<platform>"',
        'backend: "onnxruntime" runtime: "lib${x}.so"',
        'backend: "python" default_model_filename: "%file%"',
        'backend: "python" default_model_filename: "${stem}.onnx"',
        'backend: "onnxruntime" name: "@name@"',
    ],
)
def test_what_names_something_is_filled_in(tmp_path, line):
    version = tmp_path / "m" / "1"
    version.mkdir(parents=True)
    (version / "net.onnx").touch()
    (version / "model.onnx").touch()
    (version.parent / "config.pbtxt").write_text(line)
    findings = check(Repository(tmp_path)).findings
    assert "SYN107" in [each.rule.code for each in findings]
    assert not {each.rule.code for each in findings} & {"GEN102", "GEN106", "GEN108", "LAY101"}
    assert not [each for each in findings if each.found.changes]


def test_what_is_really_called_like_a_place_is_let_be(tmp_path):
    version = tmp_path / "$m" / "1"
    version.mkdir(parents=True)
    (version / "$f.onnx").touch()
    text = 'name: "$m"\nbackend: "onnxruntime"\ndefault_model_filename: "$f.onnx"\n'
    (version.parent / "config.pbtxt").write_text(text)
    codes = [each.rule.code for each in check(Repository(tmp_path)).findings]
    assert "SYN107" not in codes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (POINTER, "it is a pointer of Git LFS, not the config: run `git lfs pull` (1:9)"),
        (
            SOUND.decode().encode("utf-16"),
            "it is UTF-16, as PowerShell writes it: save it as UTF-8",
        ),
        (
            b'{\n  "name": "net" }',
            "it is JSON, and a config is protobuf's text: no braces around it",
        ),
        (b"<!DOCTYPE html>\n<html></html>", "it is a page of HTML or XML, not the config"),
        (SOUND + b"<<<<<<< HEAD\ninput { }\n", "Git left the mark of a conflict, <<<<<<<"),
        (SOUND + b"input {\n=======\n}", "Git left the mark of a conflict, ======="),
        (SOUND + b">>>>>>> branch", "Git left the mark of a conflict, >>>>>>>"),
    ],
)
def test_what_is_no_config_is_named(tmp_path, text, said):
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "config.pbtxt").write_bytes(text)
    (told,) = [
        each
        for each in check(Repository(tmp_path)).findings
        if each.rule.code[:3] in {"SYN", "FLD"}
    ]
    assert told.rule.code == "SYN101"
    assert f"{told.sentence} ({told.line}:{told.column})".startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            b'parameters: { intra_op_thread_count: "4" inter_op_thread_count: "4" }',
            """parameters has no field 'intra_op_thread_count': an entry is key: "..." value""",
        ),
        (
            b'model_warmup { batch_size: 1 inputs { name: "x" dims: 4 zero_data: true } }',
            "inputs has no field 'name': an entry is key: \"...\" value { ... }",
        ),
        (
            b'metric_tags { a: "b" }',
            'metric_tags has no field \'a\': an entry is key: "..." value: "..."',
        ),
        (b'parameters { keys: "a" }', "parameters has no field 'keys': did you mean 'key'?"),
    ],
)
def test_an_entry_of_a_map_has_key_and_value(tmp_path, text, said):
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "config.pbtxt").write_bytes(SOUND + text)
    found = check(Repository(tmp_path)).findings
    (told,) = [each.sentence for each in found if each.rule.code == "FLD103"]
    assert told.startswith(said)
    assert not [each for each in found if each.sentence.endswith("reads no parameter ")]


def test_what_is_newer_is_told_once(tmp_path):
    assert [code for code, _, _ in found(tmp_path, b"model_metrics { }")] == ["FLD101"]


def test_what_the_release_has_is_not_told(tmp_path):
    assert not found(tmp_path, b"model_metrics { }", "25.06")


def test_other_rules_go_on_where_a_field_alone_is_unknown(tmp_path):
    folder = tmp_path / "n"
    folder.mkdir()
    (folder / "config.pbtxt").write_bytes(SOUND + b"kernels: 3")
    codes = [each.rule.code for each in check(Repository(tmp_path)).findings]
    assert {"FLD103", "LAY101"} <= set(codes)


def test_a_lone_carriage_return_ends_no_line(tmp_path):
    assert found(tmp_path, b'# c\rkernels: "a"\nkernels: 3')[0] == ("FLD103", 5, 8)


BROKEN = b"""\
name: "m"
# how many
max_batch_sizes: 4 # at once
input [ { name: x data_type: FP32 dims: [ "4" ] } ]
instance_group { kind: KIND_CUDA
  count: 1.0 }
parameters { key: "a" value { string_value: 3 } }
response_cache { enable: yes }
"""
MENDED = b"""\
name: "m"
max_batch_size: 4
# how many
# at once
input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
instance_group { kind: KIND_GPU
  count: 1 }
parameters { key: "a" value { string_value: "3" } }
response_cache { enable: true }
"""


def test_what_was_meant_is_written_where_nothing_else_can_have_been(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    config = folder / "config.pbtxt"
    config.write_bytes(BROKEN)
    repository = Repository(tmp_path)

    def judge():
        return check(repository, codes={"FLD103", "SYN102", "SYN106"})

    planned, left = fixing.fix(repository, judge)
    assert config.read_bytes() == MENDED
    assert not planned.left
    assert not left.findings


def test_a_mended_flaw_leaves_those_that_nobody_can_mend(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.pbtxt").write_bytes(b'max_batch_size: "4"\nkernels: 3\nname: 3.5.5\n')
    repository = Repository(tmp_path)
    before = (folder / "config.pbtxt").read_bytes()
    fixing.fix(repository, lambda: check(repository, codes={"SYN102"}))
    assert (folder / "config.pbtxt").read_bytes() == before  # too broken to be read on
    (folder / "config.pbtxt").write_bytes(b'max_batch_size: "4"\nkernels: 3\n')
    fixing.fix(repository, lambda: check(repository, codes={"SYN102"}))
    assert (folder / "config.pbtxt").read_bytes() == b"max_batch_size: 4\nkernels: 3\n"
