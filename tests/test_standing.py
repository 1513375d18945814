"""Which config and labels stand: pure decisions, no build needed."""

import pytest

from tritonforge import pbtxt, standing
from tritonforge.errors import ConfigError
from tritonforge.repository import Repository
from tritonforge.tensors import DType, Signature, TensorSpec


def row(name, *dims):
    return TensorSpec(name=name, dtype=DType.FP32, dims=("batch", *dims))


ROWS = Signature(inputs=(row("x", 4),), outputs=(row("y", 3),))
OURS = pbtxt.config("net", ROWS, max_batch_size=8)


def decide(text, how="keep", version=2, written=None):
    return standing.decide(
        text, OURS, pbtxt.render(OURS), ROWS, standing=how, version=version, written=written
    )


def test_ours_stands_where_nothing_does_and_where_it_was_asked_for():
    text = pbtxt.render(OURS)
    assert decide(None, "stop") == decide(None) == decide("whatever {", "update") == text


def test_fields_of_a_newer_triton_are_kept():
    text = pbtxt.render(OURS) + "of_tomorrow { x: 1 }\n"
    assert decide(text, "keep") == decide(text, "stop") == text


def test_what_a_build_wrote_is_followed_and_what_a_person_edited_is_not():
    assert decide(FITS, "follow", written=FITS) == pbtxt.render(OURS)
    for written in (None, FITS + "# older\n"):
        with pytest.raises(ConfigError, match="another config already"):
            decide(FITS, "follow", written=written)


@pytest.mark.parametrize("how", ["stop", "keep"])
def test_the_layout_and_comments_of_an_equal_one_stay(how):
    text = "# mine\n" + pbtxt.render(OURS)
    assert decide(text, how) == text


def test_another_one_stops_the_build_with_the_difference():
    with pytest.raises(ConfigError, match=r"(?s)'net' has another.*-max_batch_size: 4") as caught:
        decide(FITS, "stop")
    assert "--keep-config" in caught.value.hint


FITS = """
max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 3 ] }
"""


@pytest.mark.parametrize(
    "more",
    [
        "",
        'name: "net"',
        'backend: "onnxruntime"',
        'platform: "onnxruntime_onnx"',
        'default_model_filename: "model.onnx"',
        "version_policy { specific { versions: [ 1, 2 ] } }",
        "version_policy { all { } }",
    ],
)
def test_one_that_can_serve_the_version_is_kept(more):
    assert decide(FITS + more) == FITS + more


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('name: "other"', "its name is 'other', the folder's is 'net'"),
        ('backend: "python"', "its backend is 'python', not 'onnxruntime'"),
        ('platform: "tensorrt_plan"', "its platform is 'tensorrt_plan'"),
        (
            'default_model_filename: "best.onnx"',
            "loads 'best.onnx', and a build writes 'model.onnx'",
        ),
        ('cc_model_filenames { key: "8.0" value: "a.onnx" }', "loads 'a.onnx'"),
        ("version_policy { specific { versions: [ 1, 3 ] } }", "serves 1, 3, not version 2"),
        ("version_policy { specific { } }", "serves none, not version 2"),
        ('input { name: "z" }', "the model has no input 'z'"),
    ],
)
def test_one_that_cannot_is_refused(more, said):
    with pytest.raises(ConfigError, match=said) as caught:
        decide(FITS + more)
    assert "--update-config" in caught.value.hint


def test_a_batch_beyond_the_proven_one_is_refused():
    with pytest.raises(ConfigError, match="max_batch_size is 16, proven is 8"):
        decide(FITS.replace("4", "16", 1))


def test_what_is_to_be_kept_is_looked_at_before_any_work(tmp_path):
    repository = Repository(tmp_path)
    assert standing.kept_batch(repository, "net", None) is None
    (tmp_path / "net").mkdir()
    config = tmp_path / "net" / "config.pbtxt"
    config.write_text(FITS)
    assert standing.kept_batch(repository, "net", None) == 4
    config.write_text(FITS + "version_policy { specific { versions: 1 } }")
    assert standing.kept_batch(repository, "net", 1) == 4
    with pytest.raises(ConfigError, match="serves 1, not version 7"):
        standing.kept_batch(repository, "net", 7)
    config.write_text("?")
    with pytest.raises(ConfigError, match=r"net/config\.pbtxt:1:1"):
        standing.kept_batch(repository, "net", None)
