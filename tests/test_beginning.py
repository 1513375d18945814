"""`tritonforge init`, and the JSON Schema by which editors check what it writes."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import tiny
from click.testing import CliRunner
from onnx import TensorProto as T

from tritonforge import specfile
from tritonforge.cli import main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def test_a_file_to_begin_with_is_one_that_can_be_built(run):
    tiny.save(Path("some.dir/double.onnx"), *tiny.DOUBLE)
    nodes = [("Identity", ["x"], ["y"], {})]
    free = ["n", "height", "a b"]
    tiny.save(Path("free.onnx"), nodes, [("x", T.FLOAT, free)], [("y", T.FLOAT, free)])
    told = run("init", "resnet50", "some.dir/double.onnx", "free.onnx")
    assert told.exit_code == 0, told.output
    assert told.stdout == "tritonforge.toml\n"
    file = specfile.find(None)
    assert file.models() == ("resnet50", "double", "free")
    assert specfile.effective("double", file).spec.source == "some.dir/double.onnx"
    text = Path("tritonforge.toml").read_text()
    assert '# height = "1..512"' in text
    assert '# "a b" = "1..512"' in text
    assert run("build", "double").exit_code == 0
    assert Path("model_repository/double/1/model.onnx").is_file()


def test_what_is_commented_out_can_be_said(run):
    run("init", "nets.py:one")
    text = Path("tritonforge.toml").read_text()
    said = re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)
    assert said.count("\n[") > text.count("\n[")
    Path("tritonforge.toml").write_text(said)
    assert specfile.effective("nets_one", specfile.find(None), "prod").spec.precision == "fp16"


def test_a_file_elsewhere_names_sources_from_its_own_folder(run):
    tiny.save(Path("double.onnx"), *tiny.DOUBLE)
    Path("specs").mkdir()
    assert run("init", "double.onnx", "-f", "specs/team.toml").exit_code == 0
    spec = specfile.effective("double", specfile.find(Path("specs/team.toml"))).spec
    assert Path(spec.source).resolve() == Path("double.onnx").resolve()


def test_a_file_that_is_there_is_not_replaced_unasked(run):
    Path("tritonforge.toml").write_text("# mine\n")
    told = run("init")
    assert told.exit_code == 2
    assert "--force" in told.stderr
    assert Path("tritonforge.toml").read_text() == "# mine\n"
    assert "[models.resnet50]" in run("init", "--dry-run").stdout
    assert Path("tritonforge.toml").read_text() == "# mine\n"
    assert run("init", "--force").exit_code == 0


def test_a_schema_that_is_there_is_not_replaced_unasked(run):
    Path("tritonforge.schema.json").write_text("{}")
    told = run("init", "--schema")
    assert told.exit_code == 2
    assert "tritonforge.schema.json is there already" in told.stderr
    assert Path("tritonforge.schema.json").read_text() == "{}"
    assert not Path("tritonforge.toml").exists()
    assert run("init", "--schema", "--force").exit_code == 0
    assert Path("tritonforge.schema.json").read_text() != "{}"


def test_the_suffix_of_a_source_may_be_written_large(run):
    tiny.save(Path("double.ONNX"), *tiny.DOUBLE)
    Path("specs").mkdir()
    assert run("init", "double.ONNX", "-f", "specs/team.toml").exit_code == 0
    spec = specfile.effective("double", specfile.find(Path("specs/team.toml"))).spec
    assert Path(spec.source).resolve() == Path("double.ONNX").resolve()


@pytest.mark.usefixtures("run")
def test_only_sources_are_paths_from_the_files_own_folder():
    Path("specs/bert").mkdir(parents=True)
    path = Path("specs/team.toml")
    for source, read in {
        "a.PY:f": "specs/a.PY:f",
        "a.pt2": "specs/a.pt2",
        "a.torchscript": "specs/a.torchscript",
        "pkg:f": "pkg:f",
        "hf:bert#text-classification": "hf:specs/bert#text-classification",
        "hf:bert-base": "hf:bert-base",
        "hf:": "hf:",
    }.items():
        path.write_text(f"[models.m]\nsource = '{source}'\n")
        assert specfile.effective("m", specfile.find(path)).spec.source == read


def test_a_folder_of_hugging_face_is_named_from_the_files_own_folder(run):
    Path("bert").mkdir()
    Path("bert/config.json").write_text('{"model_type": "bert"}')
    Path("specs").mkdir()
    assert run("init", "hf:bert", "hf:org/name", "-f", "specs/team.toml").exit_code == 0
    models = specfile.find(Path("specs/team.toml")).said["models"]
    assert [each["source"] for each in models.values()] == ["hf:../bert", "hf:org/name"]


@pytest.mark.parametrize("words", [("no kind",), ("a.onnx", "b/a.onnx"), ("-f", "none/x.toml")])
def test_what_cannot_begin_is_told(run, words):
    told = run("init", *words)
    assert told.exit_code == 2
    assert "Error: " in told.stderr
    assert list(Path().iterdir()) == []


# --- the schema -----------------------------------------------------------------------------------


def valid(said):
    """Say whether the schema takes a document."""
    return jsonschema.Draft202012Validator(specfile.schema()).is_valid(said)


def test_the_schema_goes_beside_a_file_that_stands_too(run):
    Path("tritonforge.toml").write_text("# mine\n")
    told = run("init", "--schema")
    assert told.exit_code == 0
    assert told.stdout.split() == ["tritonforge.schema.json"]
    assert "#:schema ./tritonforge.schema.json" in told.stderr
    assert json.loads(Path("tritonforge.schema.json").read_text()) == specfile.schema()
    assert Path("tritonforge.toml").read_text() == "# mine\n"
    assert run("init", "--schema", "resnet50").exit_code == 2


def test_the_schema_goes_beside_the_file(run):
    told = run("init", "--schema")
    assert told.stdout.split() == ["tritonforge.toml", "tritonforge.schema.json"]
    assert json.loads(Path("tritonforge.schema.json").read_text()) == specfile.schema()
    text = Path("tritonforge.toml").read_text()
    assert text.startswith("#:schema ./tritonforge.schema.json\n")
    assert valid(tomllib.loads(text))
    jsonschema.Draft202012Validator.check_schema(specfile.schema())


def test_the_schema_takes_what_a_build_takes():
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert valid(tomllib.loads(text))


def test_the_schema_and_the_reader_agree():
    from test_specfile import WHOLE, WRONG
    from test_whole_config import SPECS

    for text in (WHOLE, SPECS):
        assert valid(tomllib.loads(text))
    # What only a reader can know: names of releases and models, texts of ranges, contradictions.
    unseen = (
        "24.99",
        "cannot read",
        "is empty",
        "exclude each other",
        "cannot name",
        "unknown dtype",
        "64 bits",
    )
    for text, _, said, _ in WRONG:
        if not any(said in each or each in said for each in unseen):
            assert not valid(tomllib.loads(text)), text
