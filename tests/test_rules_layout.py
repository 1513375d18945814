"""Names, folders and files of a repository: what rules say of them, and the real server."""

import re
import shutil

import backend
import onnxfiles
import pytest
import rulecases
import tiny

from tritonforge import release, rules, server
from tritonforge.errors import ServerError
from tritonforge.pbtxt import ModelConfig
from tritonforge.rules import backends

EVERY = "version_policy { all { } }"


def moved(name, to, more="dynamic_batching { }"):
    """Place a model whose version lies in a folder of another name."""

    def place(root):
        folder = tiny.double(root, name, more)
        (folder / "1").rename(folder / to)

    return place


# Tensors of a config that is complete.
NAMED = """
input { name: "x" data_type: TYPE_FP32 dims: [ -1, 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ -1, 4 ] }
"""


def placed(name, change=lambda _: None, more="dynamic_batching { }"):
    """Place a model and change its folder."""
    batching = "" if "dynamic_batching" in more else "dynamic_batching { }\n"
    return lambda root: change(tiny.double(root, name, batching + more))


def bare(name, change=lambda _: None):
    """Place a model without a config."""

    def place(root):
        folder = tiny.double(root, name)
        (folder / "config.pbtxt").unlink()
        change(folder)

    return place


def config(text):
    """Write another config."""
    return lambda folder: (folder / "config.pbtxt").write_text(text)


def again(to):
    """Copy version 1 to another folder."""
    return lambda folder: shutil.copytree(folder / "1", folder / to)


def renamed(to):
    """Rename the model's file."""
    return lambda folder: (folder / "1" / "model.onnx").rename(folder / "1" / to)


def other(root, name, text, *folders):
    """Place a model of another backend."""
    for folder in folders or ("1",):
        (root / name / folder).mkdir(parents=True)
    io = 'input { name: "x" data_type: TYPE_FP32 dims: 1 }\n'
    io += 'output { name: "y" data_type: TYPE_FP32 dims: 1 }\n'
    (root / name / "config.pbtxt").write_text(f"{text}\n{io}")


def nested(root):
    """Place a repository into a repository."""
    tiny.double(root / "nested", "inner")


def linked(folder):
    """Move a version away, and link to it."""
    away = folder.parent.parent / f"{folder.parent.name}-{folder.name}"
    (folder / "1").rename(away)
    (folder / "1").symlink_to(away)


def deep(folder):
    """Put a link that leads nowhere into a version."""
    (folder / "1" / "notes").symlink_to("nowhere")


def emptied(folder):
    """Move the file of version 1 to version 2."""
    (folder / "2").mkdir()
    (folder / "1" / "model.onnx").rename(folder / "2" / "model.onnx")


def strayed(folder):
    """Make the model's file a link that leads nowhere."""
    (folder / "1" / "model.onnx").unlink()
    (folder / "1" / "model.onnx").symlink_to("/weights/model.onnx")


def strange(root, name, text, file="model.onnx", content=b""):
    """Place a file of ONNX into a model of another backend."""
    other(root, name, text)
    (root / name / "1" / file).write_bytes(content)


STRANGELY_CALLED = 'backend: "pytorch" default_model_filename: "net.onnx"'
PLAN = 'platform: "tensorrt_plan"'
STRANGE = "is a file of ONNX, which the backend onnxruntime serves"
ONLY_THREE = "dynamic_batching { } version_policy { specific { versions: [ 3 ] } }"
ONE_AND_THREE = "version_policy { specific { versions: [ 1, 3 ] } }"


def shared(folder):
    (folder / "1" / "model.onnx").rename(folder / "model.onnx")


# By name: how the model is placed, and what is found: code and file or place.
CASES = {
    "fine": (placed("fine"), []),
    "link": (placed("link", linked), []),
    "deep": (placed("deep", deep), []),
    "beside": (placed("beside", again("1.bak")), []),
    "words": (placed("words", lambda folder: (folder / "notes").mkdir()), []),
    "partial": (moved("partial", "3.partial"), [("LAY103", "3.partial")]),
    "exponent": (moved("exponent", "1e3"), [("LAY103", "1e3")]),
    "signed": (moved("signed", "+1"), [("LAY103", "+1")]),
    "negative": (moved("negative", "-1"), [("LAY103", "-1")]),
    "blank": (moved("blank", " 5"), [("LAY103", " 5")]),
    "later": (placed("later", again("3.partial")), [("LAY103", "3.partial")]),
    "zeros": (moved("zeros", "007"), [("LAY102", "007")]),
    "hexadecimal": (moved("hexadecimal", "0x10"), [("LAY102", "0x10")]),
    "zero": (moved("zero", "0"), [("LAY303", "0")]),
    "zero_alone": (
        moved("zero_alone", "0", "version_policy { specific { versions: [ 0 ] } }"),
        [("LAY303", "0")],
    ),
    "hidden": (moved("hidden", ".3"), [("LAY102", ".3")]),
    "called": (moved("called", "v1"), [("LAY102", "v1")]),
    "large": (moved("large", "99999999999"), []),
    "none": (placed("none", lambda folder: shutil.rmtree(folder / "1")), [("LAY102", "")]),
    "policy": (moved("policy", "2", ONLY_THREE), [("LAY102", "version_policy")]),
    "latest": (
        placed("latest", more="version_policy { latest { num_versions: 0 } }"),
        [],  # GEN110 tells it
    ),
    "no_choice": (
        placed("no_choice", emptied, more="version_policy { }"),
        [("LAY108", "1/model.onnx")],
    ),
    "some": (
        placed("some", more=ONE_AND_THREE),
        [("LAY202", "version_policy.specific.versions[1]")],
    ),
    "twice": (
        placed("twice", more="version_policy { specific { versions: [ 1, 1, 3, 3 ] } }"),
        [
            ("LAY112", "version_policy.specific.versions[3]"),
            ("LAY202", "version_policy.specific.versions[2]"),
        ],
    ),
    "every": (placed("every", again("01"), more=EVERY), [("LAY201", "01")]),
    "worded": (placed("worded", again("v2")), [("LAY201", "v2")]),
    "a_file": (
        placed("a_file", lambda folder: (shutil.rmtree(folder / "1"), (folder / "1").touch())),
        [("LAY102", "1")],
    ),
    "filed": (placed("filed", lambda folder: (folder / "2").touch()), [("LAY201", "2")]),
    "empty": (
        placed("empty", lambda folder: (folder / "2").mkdir()),
        [("LAY108", "2/model.onnx")],
    ),
    "capital": (placed("capital", renamed("Model.onnx")), [("LAY108", "1/model.onnx")]),
    "named": (
        placed("named", renamed("net.onnx"), 'default_model_filename: "net.onnx"'),
        [],
    ),
    "misnamed": (
        placed("misnamed", more='default_model_filename: "net.onnx"'),
        [("LAY108", "1/net.onnx")],
    ),
    "beside_versions": (
        placed("beside_versions", shared, 'default_model_filename: "../model.onnx"'),
        [],  # GEN205 tells it
    ),
    "not_beside_versions": (
        placed("not_beside_versions", more='default_model_filename: "../model.onnx"'),
        [("LAY108", "1/../model.onnx")],
    ),
    "other_name": (
        placed("other_name", config('name: "another"\nbackend: "onnxruntime"')),
        [("LAY101", "name")],
    ),
    "broken": (
        placed("broken", lambda folder: (folder / "notes").symlink_to("nowhere")),
        [("LAY106", "notes")],
    ),
    "broken_version": (
        placed("broken_version", lambda folder: (folder / "2").symlink_to("nowhere")),
        [("LAY106", "2")],
    ),
    "bare": (bare("bare"), []),
    "bare_other": (bare("bare_other", renamed("net.onnx")), [("LAY107", "1/net.onnx")]),
    "bare_hidden": (bare("bare_hidden", lambda f: (f / ".cache").mkdir()), [("LAY107", ".cache/")]),
    "bare_zero": (bare("bare_zero", lambda f: (f / "0notes").mkdir()), [("LAY107", "0notes/")]),
    "bare_capital": (bare("bare_capital", lambda f: (f / "Notes").mkdir()), []),
    "bare_called": (
        bare("bare_called", lambda f: (f / "config.pbtxt.txt").write_text("")),
        [("LAY203", "config.pbtxt.txt")],
    ),
    "bare_inside": (
        bare("bare_inside", lambda f: (f / "1" / "config.pbtxt").write_text("")),
        [("LAY203", "1/config.pbtxt")],
    ),
    "bare.onnxruntime": (
        bare("bare.onnxruntime", renamed("model.onnxruntime")),
        [("LAY107", "1/")],
    ),
    "nothing": (lambda root: (root / "nothing").mkdir(), [("LAY102", "")]),
    "nested": (nested, [("LAY109", "inner/")]),
    "platform": (placed("platform", config('platform: "onnxruntime_onnx"')), []),
    "by_file": (placed("by_file", config('default_model_filename: "model.onnx"')), []),
    "steps": (
        placed(
            "steps",
            lambda f: (renamed("net.onnx")(f), config("ensemble_scheduling { step { } }")(f)),
        ),
        [],  # ENS101 tells it
    ),
    "by_no_file": (
        placed(
            "by_no_file",
            lambda f: (renamed("net.onnx")(f), config('default_model_filename: "net.onnx"')(f)),
        ),
        [],  # GEN106 tells it
    ),
    "python": (lambda root: other(root, "python", 'backend: "python"'), [("LAY108", "1/model.py")]),
    "plan": (
        lambda root: other(root, "plan", 'platform: "tensorrt_plan"'),
        [("LAY108", "1/model.plan")],
    ),
    "strayed": (placed("strayed", strayed), [("LAY108", "1/model.onnx")]),
    "strange_plan": (
        lambda root: strange(root, "strange_plan", 'platform: "tensorrt_plan"'),
        [("LAY108", "1/model.plan")],
    ),
    "strange_torch": (
        lambda root: strange(root, "strange_torch", 'backend: "pytorch"', "net.onnx"),
        [("LAY108", "1/model.pt")],
    ),
    "strange_name": (
        lambda root: strange(
            root, "strange_name", STRANGELY_CALLED, "net.onnx", onnxfiles.double()
        ),
        [("OPS101", "1/net.onnx")],
    ),
    "strange_content": (
        lambda root: strange(root, "strange_content", PLAN, "model.plan", onnxfiles.double()),
        [("OPS101", "1/model.plan")],
    ),
    "a b": (placed("a b"), [("LAY302", "name")]),
}
# The embedded server's backend is one of Python, which takes no blank in a name; for a model.py
# that is not there it waits as long as a large model may take.
UNLIKE = {"a b", "python"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a repository of all cases."""
    root = tmp_path_factory.mktemp("layout") / "repository"
    for place, _ in CASES.values():
        place(root)
    return root


@pytest.fixture(scope="module")
def report(repository):
    return rulecases.checked(repository, release.find("24.10"))


@pytest.mark.parametrize("name", CASES)
def test_what_is_amiss_is_found_where_it_is(report, name):
    found = [
        (each.rule.code, each.found.file or each.found.at)
        for each in report.findings
        if each.model == name and each.rule in rules.OF_MODELS
    ]
    assert sorted(found) == sorted(CASES[name][1])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a_file", "'1' is a file, and no folder"),
        ("zeros", "'007' begins with a 0, and is no number to the server; rename it to '7'"),
        ("called", "the server reads no number in 'v1'; rename it to '1'"),
        ("hexadecimal", "the server reads no number in '0x10'"),
        ("every", "the server passes over the folder '01'"),  # 1 is there
        ("worded", "the server passes over the folder 'v2'; rename it to '2'"),
    ],
)
def test_a_folder_that_is_passed_over_is_told_what_it_should_be_called(report, name, said):
    (found,) = [each for each in report.findings if each.model == name]
    assert found.found.said.removeprefix("there is no version: ") == said


@pytest.mark.parametrize(
    ("name", "said", "edits"),
    [
        ("strayed", "the link 'model.onnx' leads nowhere: to '/weights/model.onnx'", []),
        (
            "strange_plan",
            f"version 1 has no 'model.plan', which the server loads; 'model.onnx' {STRANGE}",
            [],
        ),
        (
            "strange_torch",
            f"version 1 has no 'model.pt', which the server loads; 'net.onnx' {STRANGE}",
            [],
        ),
        (
            "capital",
            "version 1 has no 'model.onnx', which the server loads; 'Model.onnx' is there",
            [("default_model_filename", '"Model.onnx"')],
        ),
        (
            "empty",
            "version 2 has no 'model.onnx', which the server loads; the folder holds no file",
            [],
        ),
    ],
)
def test_a_file_that_is_not_there_is_told_with_what_is(report, name, said, edits):
    (found,) = [each.found for each in report.findings if each.model == name]
    assert found.said == said
    assert [(each.path, each.value) for each in found.changes] == edits


def test_the_server_refuses_what_is_refused_and_nothing_else(embedded, repository, report):
    for name in UNLIKE:
        shutil.rmtree(repository / name)
    said = backend.refused(repository, embedded)
    names = set(re.findall(r"^model '([\w.]+)'", said, re.MULTILINE))
    assert names == rulecases.refused(report) - UNLIKE


BY_GPU = 'cc_model_filenames { key: "8.6" value: "ampere.plan" }'


@pytest.mark.parametrize(
    ("text", "files", "missing"),
    [
        # what loads a file of its name, and what may do with the name as it likes
        ('backend: "fil" default_model_filename: "a.json"', (), ["1/a.json"]),
        ('backend: "mine" default_model_filename: "a.hdf5"', (), []),
        ('backend: "tensorrtllm" default_model_filename: "engine"', (), []),
        ('backend: "dali" default_model_filename: "a.dali"', (), ["1/a.dali"]),
        ('backend: "dali" default_model_filename: "a.dali"', ("dali.py",), []),
        # a GPU takes the file of its compute capability, and no other is needed
        (f"{PLAN} {BY_GPU}", ("ampere.plan",), []),
        (f"{PLAN} {BY_GPU}", (), ["1/model.plan"]),
        (f"{PLAN} cc_model_filenames {{ }}", (), ["1/model.plan"]),
        (f"{PLAN} {BY_GPU} instance_group {{ kind: KIND_GPU }}", ("ampere.plan",), []),
        (
            f'backend: "pytorch" {BY_GPU} instance_group {{ kind: KIND_CPU }}',
            ("ampere.plan",),
            ["1/model.pt"],
        ),
    ],
)
def test_a_file_is_missed_only_where_the_backend_loads_it(tmp_path, text, files, missing):
    other(tmp_path, "net", text)
    for file in files:
        (tmp_path / "net" / "1" / file).touch()
    found = rulecases.checked(tmp_path, release.find("24.10")).findings
    assert [each.found.file for each in found if each.rule.code == "LAY108"] == missing


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (moved("huge", "9" * 20), "LAY104"),
        (
            bare("folder", lambda folder: (folder / "config.pbtxt").mkdir()),
            "LAY105",
        ),
    ],
)
def test_what_ends_the_whole_server_is_refused(embedded, tmp_path, place, code):
    place(tmp_path)
    report = rulecases.checked(tmp_path)
    assert code in [each.rule.code for each in report.findings]
    with (
        pytest.raises(ServerError, match="the server ended by itself"),
        server.serving(tmp_path, embedded),
    ):
        pass


def test_a_backend_is_what_is_behind_the_first_dot_of_a_name():
    served = release.find(release.EMBEDDED)
    named = {
        name: backends.serving(ModelConfig(), name, (), served)
        for name in ("a.b", "a.lib.net", "a.")
    }
    assert named == {"a.b": "b", "a.lib.net": "lib.net", "a.": None}


@pytest.mark.parametrize(
    ("head", "kind", "file", "told"),
    [
        (NAMED, "KIND_GPU", "a.onnx", []),
        (NAMED, "KIND_AUTO", "a.onnx", []),
        (NAMED, "KIND_CPU", "a.onnx", ["LAY108"]),
        (NAMED, "KIND_GPU", "b.onnx", ["LAY108"]),
        ("", "KIND_GPU", "a.onnx", ["LAY108"]),
    ],
)
def test_a_gpu_may_load_a_file_that_is_named_for_it(tmp_path, head, kind, file, told):
    folder = tiny.double(tmp_path, "m")
    renamed(file)(folder)
    group = f"instance_group {{ kind: {kind} }}"
    text = f'{head} backend: "onnxruntime" cc_model_filenames {{ key: "8.0" value: "a.onnx" }}'
    config(f"{text} {group}")(folder)
    codes = rulecases.codes(rulecases.checked(tmp_path), "m")
    assert [code for code in codes if code.startswith("LAY1")] == told
