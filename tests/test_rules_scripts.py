"""What rules find of files that ONNX Runtime does not read, model.py above all; and the server."""

import re

import backend
import pytest
import rulecases
from test_rules_files import POINTER
from test_rules_layout import other

from tritonforge.check import scripts
from tritonforge.release import EMBEDDED, find

CLASS = b"class TritonPythonModel:\n    def execute(self, requests):\n        return []\n"
# By name: the text of model.py, and what is found of it.
CASES = {
    "fine": (CLASS, []),
    "assigned": (CLASS.replace(b"TritonPythonModel", b"Net") + b"TritonPythonModel = Net\n", []),
    "guarded": (b"if True:\n" + CLASS.replace(b"\n", b"\n  ").replace(b"class", b"  class"), []),
    "imported": (b"from net import TritonPythonModel\n", []),
    "renamed": (b"from net import TritonPythonModel as TritonPythonModel\n", []),
    "starred": (b"from net import *\n", []),
    "made": (b'import net\nglobals()["Triton" + "PythonModel"] = net.TritonPythonModel\n', []),
    "escape": (b'"\\d"\n' + CLASS, []),
    "latin": (b"# -*- coding: latin-1 -*-\n# \xe9\n" + CLASS, []),
    "marked": (b"\xef\xbb\xbf" + CLASS, []),
    "idle": (CLASS.replace(b"execute", b"infer"), ["PYM201"]),
    "inherited": (
        b"from net import *\nclass TritonPythonModel(TritonPythonModel):\n    pass\n",
        [],
    ),
    "added": (CLASS.replace(b"execute", b"run") + b"TritonPythonModel.execute = print\n", []),
    "empty": (b"", ["PYM102"]),
    "misspelt": (CLASS.replace(b"Python", b"python"), ["PYM102"]),
    "away": (b"from net import TritonPythonModel as Net\n", ["PYM102"]),
    "broken": (CLASS.replace(b":", b"", 1), ["PYM101"]),
    "blank": (b"\0" + CLASS, ["PYM101"]),
    "pointer": (POINTER, ["OPS101"]),
}


LOST = "packed"  # whose environment is not there


def environment(path):
    """Say where the Python that runs a model lies."""
    return f'parameters {{ key: "EXECUTION_ENV_PATH" value {{ string_value: "{path}" }} }}'


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a repository of all cases."""
    root = tmp_path_factory.mktemp("scripts") / "repository"
    other(root, LOST, f'backend: "python" {environment("$$TRITON_MODEL_DIRECTORY/env.tar.gz")}')
    (root / LOST / "1" / "model.py").write_bytes(CLASS)
    for name, (text, _) in CASES.items():
        other(root, name, 'backend: "python"')
        (root / name / "1" / "model.py").write_bytes(text)
        (root / name / "1" / "net.py").write_bytes(CLASS)
    return root


@pytest.fixture(scope="module")
def report(repository):
    return rulecases.checked(repository, find(EMBEDDED))


@pytest.mark.parametrize("name", CASES)
def test_what_is_amiss_is_found(report, name):
    assert rulecases.codes(report, name) == CASES[name][1]


@pytest.mark.parametrize(
    ("path", "backend", "codes"),
    [
        ("$$TRITON_MODEL_DIRECTORY/env.tar.gz", "python", ["PYM103"]),
        ("$$TRITON_MODEL_DIRECTORY/1/env", "python", ["PYM103"]),
        ("$$TRITON_MODEL_DIRECTORY/there.tar.gz", "python", []),
        ("$$TRITON_MODEL_DIRECTORY/unpacked", "python", []),
        # what is no part of the model lies on the server's disk
        ("$$TRITON_MODEL_DIRECTORY/../env.tar.gz", "python", []),
        ("/opt/env.tar.gz", "python", []),
        ("$$TRITON_MODEL_DIRECTORY/env.tar.gz", "mine", []),  # which need not read it
    ],
)
def test_the_environment_of_a_model_lies_where_the_config_says(tmp_path, path, backend, codes):
    other(tmp_path, "net", f'backend: "{backend}" {environment(path)}')
    (tmp_path / "net" / "1" / "model.py").write_bytes(CLASS)
    (tmp_path / "net" / "there.tar.gz").touch()
    (tmp_path / "net" / "unpacked").mkdir()
    report = rulecases.checked(tmp_path, find(EMBEDDED))
    found = [each for each in report.findings if each.rule.code.startswith("PYM")]
    assert [each.rule.code for each in found] == codes
    assert {each.found.at for each in found} <= {"parameters.EXECUTION_ENV_PATH"}


def test_the_server_refuses_what_is_refused_and_nothing_else(embedded, repository, report):
    said = backend.refused(repository, embedded)
    names = set(re.findall(r"^model '([\w.]+)'", said, re.MULTILINE))
    assert names == rulecases.refused(report)


@pytest.mark.parametrize("text", [b"a" + b".b" * 90_000, b"-" * 200_000 + b"1"])
def test_what_is_too_deep_to_be_parsed_is_left_open(text):
    assert scripts.parsed(text) is None


def test_what_is_too_long_is_left_open(tmp_path):
    (tmp_path / "model.py").write_bytes(b"#" * 300_000)
    assert scripts.script(tmp_path / "model.py") is None


@pytest.mark.parametrize(
    ("release", "more"),
    [
        ("26.04", ""),  # its Python is newer than some in which this runs
        (EMBEDDED, 'parameters { key: "EXECUTION_ENV_PATH" value { string_value: "e" } }'),
    ],
)
def test_another_python_may_read_more(tmp_path, monkeypatch, release, more):
    monkeypatch.setattr(scripts, "_PYTHON", (3, 11))
    other(tmp_path, "m", f'backend: "python" {more}')
    (tmp_path / "m" / "1" / "model.py").write_bytes(b"type Row = list[int]\n" + CLASS)
    report = rulecases.checked(tmp_path, find(release))
    assert not rulecases.refused(report)


@pytest.mark.parametrize("file", ["model.plan", "model.pt", "model.xml", "model.graphdef"])
def test_a_pointer_in_the_place_of_a_model_is_told(tmp_path, file):
    of = {"model.plan": "tensorrt", "model.pt": "pytorch", "model.xml": "openvino"}
    named = f'backend: "{of.get(file, "tensorflow")}" default_model_filename: "{file}"'
    other(tmp_path, "m", named)
    (tmp_path / "m" / "1" / file).write_bytes(POINTER)
    found = rulecases.checked(tmp_path, find(EMBEDDED)).findings
    (told,) = [each for each in found if each.rule.code == "OPS101"]
    assert told.sentence == "it is a pointer of Git LFS, not the model"
