"""The table of releases, as a person and as a program reads it."""

import json

import pytest
from click.testing import CliRunner

from tritonforge import release
from tritonforge.cli import main

LIMITS = ("21", "10", "18")


def told(*arguments):
    """Run `targets` and return what it prints."""
    ended = CliRunner().invoke(main, ["targets", *arguments])
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_every_tag_has_a_line_and_what_is_unknown_is_called_so():
    text = told()
    lines = {line.split()[0]: line for line in text.splitlines() if line[1:3].isdigit()}
    assert list(lines) == [image.tag for image in release.images()]
    assert lines["24.10"].split() == ["24.10", "2.51.0", "1.19.2", "unknown", "12.6.2", *LIMITS]
    assert "24.02 can be no target: it lacks the ONNX Runtime backend." in text
    assert "26.09 can be no target: its ONNX Runtime is unknown." in text


def test_every_line_fits_a_terminal():
    assert max(map(len, told().splitlines())) <= 80


def test_one_is_told_whole():
    found = json.loads(told("22.12-py3", "--format", "json"))
    assert found["tag"] == "22.12"
    assert (found["opset"], found["ir"], found["ml_opset"], found["cuda_opset"]) == (17, 8, 3, 17)
    assert (found["parser"], found["parser_source"]) == ("8.5", "hinted")
    assert found["tensorrt"] is None
    assert found["refused"] is None
    assert "highest IR version that loads" in told("22.12")


@pytest.mark.parametrize("tag", ["24.02", "26.10"])
def test_one_that_cannot_be_a_target_is_told_all_the_same(tag):
    assert "no target, since" in told(tag)
    assert json.loads(told(tag, "--format", "json"))["refused"]


def test_an_onnx_runtime_is_told_by_its_limits():
    found = json.loads(told("ort:1.24.4", "--format", "json"))
    assert (found["opset"], found["triton"]) == (25, None)


def test_all_as_json():
    rows = json.loads(told("--format", "json"))["targets"]
    assert [row["tag"] for row in rows] == [image.tag for image in release.images()]


@pytest.mark.parametrize("target", ["99.01", "ort:9", "../x", "abc", "all"])
def test_an_unknown_one_is_wrong_use(target):
    ended = CliRunner().invoke(main, ["targets", target])
    assert ended.exit_code == 2
    assert "Hint: " in ended.stderr


def test_all_of_them_is_what_no_target_lists():
    ended = CliRunner().invoke(main, ["targets", "all"])
    assert ended.stderr.endswith("Hint: tritonforge targets, without a TARGET, lists all\n")
