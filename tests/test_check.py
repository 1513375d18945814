"""What a check finds of a repository, and where."""

import json

import pytest
from click.testing import CliRunner

from tritonforge.cli import main

CONFIG = """\
name: "other"
backend: "onnxruntime"
max_batch_size: 4
dynamic_batching {
  preferred_batch_size: [ 2, 8 ]
}
"""


@pytest.fixture
def repository(tmp_path):
    model = tmp_path / "model_repository" / "m"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(CONFIG, "utf-8")
    return model.parent


def run(*args):
    return CliRunner().invoke(main, ["check", *map(str, args)], prog_name="tritonforge")


def test_findings_bear_code_file_line_and_column(repository):
    result = run("-r", repository)
    assert "m/config.pbtxt:1:1: LAY101 refused: the name is 'other'" in result.output
    assert "m/config.pbtxt:5:30: BAT101 refused: the preferred size 8" in result.output
    assert result.exit_code == 1


def test_json_holds_the_same(repository):
    found = json.loads(run("-r", repository, "--format", "json").output)["findings"]
    place = ("m/config.pbtxt", 5, 30)
    assert place in [(each["file"], each["line"], each["column"]) for each in found]
