"""`tritonforge config` on files as people keep them."""

import json
import os
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from tritonforge import pbtxt
from tritonforge.cli import main
from tritonforge.repository import Repository, configs

CONFIG = """\
# ours
name: "resnet50"
backend: "onnxruntime"
max_batch_size: 8  # measured
input [ { name: "x", data_type: TYPE_FP32, dims: [ 3, -1 ] } ]
newer { a: 1 }
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Lay out a repository of two models, of which one has no version."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "model_repository"
    for name in ("resnet50", "bert"):
        (root / name).mkdir(parents=True)
        (root / name / "config.pbtxt").write_text(CONFIG.replace("resnet50", name), "utf-8")
    (root / "bert" / "1").mkdir()
    (root / "bare").mkdir()
    return root


def run(*arguments):
    """Run `config` with these arguments."""
    return CliRunner().invoke(main, ["config", *arguments])


def text(models, name="resnet50"):
    return (models / name / "config.pbtxt").read_bytes().decode()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("max_batch_size", "8"),
        ("backend", "onnxruntime"),
        ("input[x].dims", "[ 3, -1 ]"),
        ("input[0].data_type", "TYPE_FP32"),
        ("newer", "{ a: 1 }"),
        ("newer.a", "1"),
    ],
)
@pytest.mark.usefixtures("models")
def test_what_stands_at_a_path_is_printed(path, said):
    ended = run("get", "resnet50", path)
    assert (ended.exit_code, ended.stdout) == (0, f"{said}\n")


def test_without_a_path_the_whole_text_is_printed(models):
    (models / "bert" / "config.pbtxt").write_bytes(b'name: "bert"\r\n# \x1b[31m red')
    assert run("get", "bert").stdout_bytes == b'name: "bert"\r\n# \x1b[31m red'


def test_as_json_it_is_plain_data(models):
    answer = json.loads(run("get", "resnet50", "input", "--format", "json").stdout)
    assert answer == {
        "file": "model_repository/resnet50/config.pbtxt",
        "path": "input",
        "value": [{"name": "x", "data_type": "TYPE_FP32", "dims": [3, -1]}],
    }
    whole = json.loads(run("get", str(models / "bert/config.pbtxt"), "--format", "json").stdout)
    assert whole["path"] is None
    assert (whole["value"]["max_batch_size"], whole["value"]["newer"]) == (8, "{ a: 1 }")


def test_setting_prints_the_change_and_writes_it(models):
    ended = run("set", "resnet50", "max_batch_size", "16")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[:2] == [
        "--- model_repository/resnet50/config.pbtxt",
        "+++ model_repository/resnet50/config.pbtxt",
    ]
    assert "-max_batch_size: 8  # measured\n+max_batch_size: 16  # measured\n" in ended.stdout
    assert text(models) == CONFIG.replace("size: 8", "size: 16")
    assert [each.name for each in (models / "resnet50").iterdir()] == ["config.pbtxt"]


def test_the_change_is_one_that_patch_takes(models):
    path = models / "resnet50" / "config.pbtxt"
    path.write_bytes(CONFIG.encode().rstrip())
    before = path.read_bytes()
    change = run("set", "resnet50", "runtime", "x").stdout_bytes
    after = path.read_bytes()
    path.write_bytes(before)
    subprocess.run(["patch", "-s", str(path)], input=change, check=True, timeout=60)  # noqa: S607
    assert path.read_bytes() == after


def test_a_number_below_zero_is_a_value(models):
    assert run("set", "resnet50", "input[0].dims[0]", "-1").exit_code == 0
    assert run("set", "resnet50", "input[0].dims", "-1,-1,4").exit_code == 0
    assert "dims: [ -1, -1, 4 ]" in text(models)


def test_unsetting_takes_a_field_out(models):
    ended = run("unset", "resnet50", "max_batch_size")
    assert ended.exit_code == 0, ended.output
    assert text(models) == CONFIG.replace("max_batch_size: 8  ", "")
    assert run("unset", "resnet50", "max_batch_size").exit_code == 2


def test_what_is_there_already_is_not_written(models):
    path = models / "resnet50" / "config.pbtxt"
    before = path.stat()
    ended = run("set", "resnet50", "backend", "onnxruntime")
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "words", [["set", "resnet50", "max_batch_size", "4"], ["unset", "resnet50", "newer"]]
)
def test_a_dry_run_prints_the_change_alone(models, words):
    ended = run(*words, "--dry-run")
    assert ended.exit_code == 0, ended.output
    assert "@@" in ended.stdout
    assert text(models) == CONFIG
    assert not (models / ".tritonforge.lock").exists()


def test_a_file_keeps_its_mode_and_its_owner(models):
    path = models / "resnet50" / "config.pbtxt"
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 1234)
    before = path.stat()
    assert run("set", "resnet50", "max_batch_size", "4").exit_code == 0
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_what_a_link_leads_to_is_changed_and_the_link_stays(models, tmp_path):
    kept = tmp_path / "kept.pbtxt"
    path = models / "resnet50" / "config.pbtxt"
    path.rename(kept)
    path.symlink_to(os.path.relpath(kept, path.parent))
    assert run("set", "resnet50", "max_batch_size", "4").exit_code == 0
    assert path.is_symlink()
    assert "max_batch_size: 4" in kept.read_text()


def test_a_file_by_its_path_need_be_no_models(tmp_path):
    path = tmp_path / "template.pbtxt"
    path.write_bytes(b"max_batch_size: 4\r\n")
    assert run("set", str(path), "name", "any").exit_code == 0
    assert path.read_bytes() == b'max_batch_size: 4\r\nname: "any"\r\n'
    assert [each.name for each in tmp_path.iterdir()] == ["template.pbtxt"]


def test_ends_of_lines_and_letters_are_kept(models):
    path = models / "resnet50" / "config.pbtxt"
    path.write_bytes('# grün\r\nname: "resnet50"\r\n'.encode())
    assert run("set", "resnet50", "dynamic_batching.preserve_ordering", "true").exit_code == 0
    assert (
        path.read_bytes()
        == (
            '# grün\r\nname: "resnet50"\r\ndynamic_batching {\r\n  preserve_ordering: true\r\n}\r\n'
        ).encode()
    )


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["get", "resnet5"], "no model 'resnet5' in model_repository", "did you mean 'resnet50'?"),
        (["get", "other/"], "no model 'other'", "the models are bare, bert, resnet50"),
        (["get", "bare"], "model 'bare' has no config.pbtxt", ""),
        (["get", "./nothing"], "no file nothing", ""),
        (["get", "model_repository/bert"], "is a folder", "model_repository/bert/config.pbtxt"),
        (["get", "bert", "platform"], "platform is not set", ""),
        (["get", "bert", "platfrom"], "no field 'platfrom'", "did you mean 'platform'?"),
        (["set", "bert", "max_batch_size", "x"], "takes a whole number", ""),
        (["set", "bert", "name", "ernie"], "whose name, 'ernie', is not that of its folder", ""),
        (["set", "./model_repository/bert/config.pbtxt", "name", "x"], "of its folder", ""),
        (
            ["set", "bert", "max_batch_size", "-5"],
            "would refuse the config: max_batch_size: -5",
            "",
        ),
        (["set", "bert", "input[x].dims", "0"], "input[x].dims[0]: a dimension should be 1", ""),
        (["get", "bert", "\udcff"], "the path is not UTF-8", ""),
        (["set", "bert", "\udcff.a", "1"], "the path is not UTF-8", ""),
        (["unset", "bert", "input[1]"], "input[1] is not set", ""),
        (["diff", "bert", "resnet5"], "no model 'resnet5'", "did you mean 'resnet50'?"),
    ],
)
def test_what_cannot_be_done_is_exit_2_and_nothing_is_written(models, words, said, hint):
    ended = run(*words)
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert hint in ended.stderr
    assert ended.stdout == ""
    assert text(models, "bert") == CONFIG.replace("resnet50", "bert")


def test_a_broken_config_is_told_by_its_place(models):
    (models / "bert" / "config.pbtxt").write_text("name: {{\n")
    for words in (
        ["get", "bert", "name"],
        ["set", "bert", "name", "bert"],
        ["diff", "bert", "bert"],
    ):
        ended = run(*words)
        assert ended.exit_code == 2
        assert "model_repository/bert/config.pbtxt:1:8: " in ended.stderr
    (models / "bert" / "config.pbtxt").write_bytes(b"\xff")
    assert "save it as UTF-8" in run("get", "bert").stderr


def test_what_was_wrong_already_may_be_changed_in_steps(models):
    path = models / "bert" / "config.pbtxt"
    path.write_text("max_batch_size: -5\ninstance_group { kind: KIND_CPU gpus: 1 }\n")
    assert run("set", "bert", "max_batch_size", "-6").exit_code == 0
    assert run("set", "bert", "dynamic_batching.preserve_ordering", "true").exit_code == 0
    told = run("set", "bert", "instance_group[+]", "{ kind: KIND_CPU gpus: 0 }")
    assert "instance_group[1].gpus: instances of KIND_CPU take no gpus" in told.stderr
    assert run("unset", "bert", "instance_group[0].gpus").exit_code == 0


TWICE = {
    'backend: "onnxruntime"\nbackend: "python"\n': (
        "backend takes one value and is given on lines 1 and 2",
        "delete one, or unset backend",
    ),
    "input { name: 'x' } input {\n dims: 1 name: 'y'\n name: 'z' }\n": (
        "name takes one value and is given on lines 2 and 3",
        "delete one",
    ),
    "runtime: 'a' runtime: 'b'\n": (
        "runtime takes one value and is given more than once on line 1",
        "",
    ),
    "dynamic_batching { }\nsequence_batching { }\n": (
        "dynamic_batching and sequence_batching exclude each other and are given on lines 1 and 2",
        "delete one, or unset dynamic_batching",
    ),
}


@pytest.mark.parametrize(("config", "told"), TWICE.items(), ids=lambda each: each[:20])
def test_a_config_that_says_twice_what_it_can_say_once_is_refused(models, config, told):
    path = models / "bert" / "config.pbtxt"
    path.write_text(f"{config}platform: ''\n")
    for words in (["set", "bert", "max_batch_size", "4"], ["unset", "bert", "platform"]):
        ended = run(*words)
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert f"model_repository/bert/config.pbtxt: {told[0]}" in ended.stderr
        assert told[1] in ended.stderr
    assert path.read_text() == f"{config}platform: ''\n"


def test_what_a_config_says_twice_is_mended_one_after_the_other(models):
    path = models / "bert" / "config.pbtxt"
    path.write_text("backend: 'a'\nbackend: 'b'\nruntime: 'c'\nruntime: 'd'\n")
    assert run("get", "bert", "backend").exit_code == 2
    assert run("unset", "bert", "backend").exit_code == 0
    assert run("set", "bert", "backend", "b").exit_code == 2
    assert run("unset", "bert", "runtime").exit_code == 0
    assert path.read_text() == ""


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/model.onnx", "a/b", ".", ".."])
def test_a_file_is_named_inside_the_folder_of_a_version(models, name):
    for config in (text(models, "bert"), "max_batch_size: 'four'\n"):
        (models / "bert" / "config.pbtxt").write_text(config)
        ended = run("set", "bert", "default_model_filename", name)
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert f"default_model_filename {name!r} is no name of a file" in ended.stderr
        assert "write its name alone, such as model.onnx" in ended.stderr
        assert text(models, "bert") == config


def test_a_file_that_is_named_elsewhere_already_hinders_no_other_change(models):
    path = models / "bert" / "config.pbtxt"
    path.write_text("default_model_filename: 'a/b'\n")
    assert run("set", "bert", "max_batch_size", "4").exit_code == 0
    assert run("set", "bert", "default_model_filename", "b..onnx").exit_code == 0
    assert run("unset", "bert", "default_model_filename").exit_code == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("max_batch_size", "-1"),
        ("input[x].dims", "0"),
        ("input[x].reshape", "{ shape: -2 }"),
        ("sequence_batching.direct.minimum_slot_utilization", "2"),
        (
            "model_warmup[+]",
            "{ batch_size: 1 inputs { key: 'x' value { random_data: true dims: 0 } } }",
        ),
        ("batch_input[+]", "{ kind: BATCH_ITEM_SHAPE data_type: TYPE_INT8 source_input: 'x' }"),
    ],
)
@pytest.mark.usefixtures("models")
def test_of_a_value_that_is_wrong_by_itself_nothing_else_is_to_be_set_first(path, value):
    ended = run("set", "bert", path, value)
    assert ended.exit_code == 2
    assert "a server would refuse the config: " in ended.stderr
    assert "set what it depends on first" not in ended.stderr


@pytest.mark.usefixtures("models")
def test_of_a_value_that_depends_on_others_that_is_said():
    ended = run("set", "bert", "dynamic_batching.preferred_batch_size", "9")
    assert "should be 1 to max_batch_size, 8" in ended.stderr
    assert "set what it depends on first" in ended.stderr


def test_taking_out_what_others_need_is_refused(models):
    path = models / "bert" / "config.pbtxt"
    path.write_text("max_batch_size: 8\ndynamic_batching { preferred_batch_size: 4 }\n")
    told = run("unset", "bert", "max_batch_size", "--dry-run")
    assert (told.exit_code, told.stdout) == (2, "")
    assert "preferred_batch_size[0]: the preferred size 4 has no place" in told.stderr
    assert run("unset", "bert", "dynamic_batching").exit_code == 0
    assert run("unset", "bert", "max_batch_size").exit_code == 0


@pytest.mark.usefixtures("models")
def test_configs_that_say_the_same_are_exit_0():
    run("set", "resnet50", "name", "resnet50")
    ended = run("diff", "bert", "model_repository/bert/config.pbtxt")
    assert (ended.exit_code, ended.stdout) == (0, "")
    ended = run("diff", "bert", "bert", "--format", "json")
    assert json.loads(ended.stdout) == {"same": True, "differences": []}


@pytest.mark.usefixtures("models")
def test_configs_that_differ_are_exit_1_and_a_table():
    run("set", "bert", "instance_group[0].count", "2")
    run("set", "bert", "newer.a", "2")
    ended = run("diff", "resnet50", "bert")
    assert ended.exit_code == 1
    rows = [line.split() for line in ended.stdout.splitlines()]
    assert ["path", "resnet50", "bert"] in rows
    assert ["name", "resnet50", "bert"] in rows
    assert ["newer", "{", "a:", "1", "}", "{", "a:", "2", "}"] in rows
    ended = run("diff", "resnet50", "bert", "--format", "json")
    assert ended.exit_code == 1
    answer = json.loads(ended.stdout)
    assert answer["same"] is False
    assert {"path": "instance_group", "a": None, "b": [{"count": 2}]} in answer["differences"]


def test_a_change_waits_for_a_build_and_sees_what_it_wrote(models):
    """Two changes of one file are both in it, whichever came first."""
    path = models / "resnet50" / "config.pbtxt"
    with Repository(models).locked():
        child = subprocess.Popen(
            [sys.executable, "-m", "tritonforge", "config", "set", "resnet50", "runtime", "x"],
            stdout=subprocess.PIPE,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(2)
        path.write_text(CONFIG.replace("size: 8", "size: 16"))
    assert child.wait(60) == 0
    child.communicate()
    assert "max_batch_size: 16" in text(models)
    assert 'runtime: "x"' in text(models)


def test_a_lone_file_is_changed_by_one_at_a_time(tmp_path):
    path = tmp_path / "c.pbtxt"
    path.write_text("")
    file = configs.find(str(path), Repository(tmp_path / "none"))

    def add(number):
        with file.locked():
            file.write(pbtxt.put(file.read(), f"metric_tags.k{number}", "x"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(pbtxt.held(path.read_text(), "metric_tags")) == 20
