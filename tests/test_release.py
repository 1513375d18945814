import json
from importlib.resources import files

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge import release
from tritonforge.errors import SpecError

TABLE = json.loads(files("tritonforge").joinpath("data/releases.json").read_text("utf-8"))
TAGS = [t for t, row in TABLE["releases"].items() if row["backend"] and row["ort"] is not None]


@pytest.mark.parametrize("tag", TAGS)
def test_every_known_release_has_limits_that_hold_together(tag):
    found = release.find(tag)
    assert found.tag == tag
    assert found.triton.startswith("2.")
    assert release.LOWEST_OPSET <= found.cuda_opset <= found.opset
    # An ONNX release brings its opset and its IR together: this IR must be able to say that opset.
    least_ir = max(row[1] for row in onnx.helper.VERSION_TABLE if row[2] <= found.cuda_opset)
    assert found.ir >= least_ir


def test_limits_only_grow():
    limits = [release.find(tag) for tag in TAGS]
    assert sorted(TAGS) == TAGS
    for name in ("opset", "ir", "ml_opset", "cuda_opset"):
        values = [getattr(each, name) for each in limits]
        assert values == sorted(values), name


def test_the_embedded_release():
    found = release.find(release.EMBEDDED)
    assert (found.triton, found.onnxruntime) == ("2.51.0", "1.19.2")
    assert (found.opset, found.ir, found.cuda_opset) == (21, 10, 18)


def test_an_old_release_takes_opset_17_and_ir_8():
    assert (release.find("22.12").cuda_opset, release.find("22.12").ir) == (17, 8)


def test_the_suffix_of_the_image_may_be_left_on():
    assert release.find("24.10-py3") == release.find("24.10")


def test_the_image_itself_may_be_named():
    assert release.find("nvcr.io/nvidia/tritonserver:24.10-py3") == release.find("24.10")


@pytest.mark.parametrize("suffix", ["py3-sdk", "py3-min", "trtllm-python-py3", "igpu"])
def test_another_image_of_a_release_is_no_target(suffix):
    with pytest.raises(
        SpecError, match=rf"only the image 24\.10-py3 is known, not 24\.10-{suffix}"
    ):
        release.find(f"nvcr.io/nvidia/tritonserver:24.10-{suffix}")


@pytest.mark.parametrize(
    ("tag", "near"),
    [
        ("24.1", "did you mean 24.01 or 24.10?"),
        ("24.2", "did you mean 24.02?"),
        ("24.13", "did you mean 24.12?"),
        ("24.9", "did you mean 24.09?"),
        ("2410", "did you mean 24.10?"),
        ("24.10.1", "did you mean 24.10?"),
    ],
)
def test_what_is_meant_is_of_the_same_year(tag, near):
    with pytest.raises(SpecError, match=f"unknown target '{tag}'") as caught:
        release.find(tag)
    assert caught.value.hint == near


@pytest.mark.parametrize(
    ("tag", "near"),
    [("24.9", "24.09"), ("2410", "24.10"), ("latest", TAGS[-1]), ("", TAGS[-1])],
)
def test_an_unknown_tag_is_told_with_the_nearest(tag, near):
    with pytest.raises(SpecError, match=f"unknown target '{tag}'") as caught:
        release.find(tag)
    assert near in caught.value.hint


def test_an_image_without_the_backend_is_no_target():
    with pytest.raises(SpecError, match=r"24\.02-py3 was published without the ONNX Runtime"):
        release.find("24.02")


@pytest.mark.parametrize("tag", [t for t, row in TABLE["releases"].items() if row["ort"] is None])
def test_a_release_whose_onnx_runtime_is_unknown_is_no_target(tag):
    with pytest.raises(SpecError, match=f"{tag} is not known yet") as caught:
        release.find(tag)
    assert TAGS[-1] in caught.value.hint


@given(tag=st.sampled_from(TAGS), opset=st.integers(-1, 40))
def test_an_opset_is_pinned_within_the_limits_and_refused_beyond(tag, opset):
    found = release.find(tag)
    if release.LOWEST_OPSET <= opset <= found.opset:
        assert found.check_opset(opset) == opset
        return
    with pytest.raises(
        SpecError, match=f"opset {opset} is not within 7 to {found.opset}"
    ) as caught:
        found.check_opset(opset)
    assert str(found.opset) in caught.value.hint


@pytest.mark.parametrize(("tag", "takes"), [("23.09", False), ("23.10", True), ("24.10", True)])
def test_which_releases_take_tensors_without_dimensions(tag, takes):
    assert release.find(tag).scalars is takes


def test_a_target_that_is_like_none_is_told_the_range():
    with pytest.raises(SpecError) as caught:
        release.find("abc")
    assert caught.value.hint == f"known are {TAGS[0]} to {TAGS[-1]}"


@pytest.mark.parametrize(
    ("triton", "tag"),
    [("2.51.0", "24.10"), ("2.43.0", None), ("9.9.9", None)],  # 24.02 has no ONNX Runtime backend
)
def test_the_release_of_a_triton(triton, tag):
    found = release.of_triton(triton)
    assert (found.tag if found else None) == tag


def test_an_onnx_runtime_is_a_target_of_which_no_image_is_known():
    found = release.find("ort:1.19.2")
    like = release.find("24.10")
    assert (found.tag, found.onnxruntime, found.triton) == ("ort:1.19.2", "1.19.2", None)
    for name in ("opset", "ir", "ml_opset", "cuda_opset", "scalars"):
        assert getattr(found, name) == getattr(like, name)
    assert release.find("ort:1.31").opset == 26


@pytest.mark.parametrize("version", ["1.7.0", "1.99", "1", "", "1.19.2.1", "latest"])
def test_an_unknown_onnx_runtime_is_told_with_the_known_ones(version):
    with pytest.raises(SpecError, match=f"unknown ONNX Runtime '{version}'") as caught:
        release.find(f"ort:{version}")
    assert "known are ort:1.8 to ort:" in caught.value.hint


def test_a_tag_newer_than_the_table_is_told_how_to_add_it_and_the_way_out():
    with pytest.raises(
        SpecError, match=r"'31\.01' is newer than the table, which ends at"
    ) as caught:
        release.find("31.01-py3")
    assert "--target ort:1." in caught.value.hint
    assert "scripts/release_data" in caught.value.hint


def test_every_tag_is_listed_in_order_with_what_is_known_of_it():
    found = {image.tag: image for image in release.images()}
    assert list(found) == sorted(found)
    assert [tag for tag, image in found.items() if image.release is not None] == TAGS
    assert not found["24.02"].backend
    assert found["24.10"].capability == "6.0"
    assert found["25.01"].capability == "7.5"
    assert found["24.10"].tensorrt is None
    for image in found.values():
        if image.release is not None and image.tensorrt is not None:
            assert image.release.parser_source == "known"
            assert image.tensorrt.startswith(image.release.parser)
