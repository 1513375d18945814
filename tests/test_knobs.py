"""What each release's ONNX Runtime backend takes."""

from itertools import pairwise

import pytest

from tritonforge import knobs
from tritonforge.release import find, images

TAGS = [each.tag for each in images() if each.release]
FIRST = {"precision_mode", "max_workspace_size_bytes"}
CALIBRATED = {"int8_calibration_table_name", "int8_use_native_calibration_table"}
CACHED = {"trt_engine_cache_enable", "trt_engine_cache_path"}


def test_tensorrt_takes_more_keys_with_each_release_that_brought_some():
    assert set(knobs.tensorrt_keys(find("21.06"))) == FIRST
    for tag in ("21.09", "22.12", "24.03"):
        assert set(knobs.tensorrt_keys(find(tag))) == FIRST | CALIBRATED | CACHED
    for tag in ("24.04", TAGS[-1], "ort:1.19.2"):
        assert knobs.tensorrt_keys(find(tag)) == knobs.known("tensorrt")
    assert len(knobs.known("tensorrt")) == 32


@pytest.mark.parametrize(
    ("tag", "taken", "not_taken"),
    [
        ("24.06", "use_tf32", "sdpa_kernel"),
        ("24.08", "sdpa_kernel", "fuse_conv_bias"),
        ("24.12", "fuse_conv_bias", "enable_cudnn"),
        ("26.08", "enable_cudnn", "external_data_loader_reading_threads"),
        ("ort:1.17.0", "prefer_nhwc", "use_tf32"),
    ],
)
def test_cuda_takes_what_its_onnx_runtime_knows(tag, taken, not_taken):
    options = knobs.cuda_options(find(tag))
    assert taken in options
    assert not_taken not in options


def test_before_the_accelerator_cuda_there_are_no_options():
    assert knobs.cuda_options(find("24.05")) == {}
    assert not knobs.since_in("gpu_accelerators", "cuda", find("24.05"))
    assert knobs.since_in("gpu_accelerators", "cuda", find("24.06"))


def test_a_parameter_has_its_first_release():
    name = "session.use_device_allocator_for_initializers"
    assert name not in knobs.parameters(find("25.01"))
    assert name in knobs.parameters(find("25.03"))
    assert knobs.parameters(find("24.10"))["execution_mode"].values == {"0": None, "1": None}


@pytest.mark.parametrize(
    ("tag", "idle"), [("26.05", False), ("26.06", True), ("ort:1.24.4", False)]
)
def test_tensorrt_11_has_no_precision_to_choose(tag, idle):
    keys = knobs.tensorrt_keys(find(tag))
    found = {name for name, key in keys.items() if key.idle(find(tag))}
    assert found == (
        {"precision_mode", "trt_layer_norm_fp32_fallback"} | CALIBRATED if idle else set()
    )


def test_nothing_is_lost_from_one_release_to_the_next():
    for group in ("tensorrt", "cuda", "parameters"):
        for older, newer in pairwise(TAGS):
            assert set(knobs.taken(group, find(older))) <= set(knobs.taken(group, find(newer)))


def test_every_key_begins_with_a_release_and_those_of_cuda_with_an_onnx_runtime():
    tags = {each.tag for each in images()}
    for group in ("tensorrt", "parameters"):
        for key in knobs.known(group).values():
            assert {key.since, key.ends, *key.values.values()} <= {None, *tags}
    for key in knobs.known("cuda").values():
        assert key.since is None or find(f"ort:{key.since}.0")
