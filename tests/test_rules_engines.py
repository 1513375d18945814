"""Whose TensorRT engines a model or a version would load from the cache."""

import pytest
import tiny
from onnx import TensorProto as T
from onnx import helper

from tritonforge.check import check
from tritonforge.repository import Repository

CACHE = """\
optimization { execution_accelerators { gpu_execution_accelerator [ {
  name: "tensorrt"
  parameters { key: "trt_engine_cache_enable" value: "true" }
  %s
} ] } }
"""
SHARED = 'parameters { key: "trt_engine_cache_path" value: "/engines" }'


def place(repository, name, weight, more, version=1, kept="y"):
    """Place a model that multiplies by its weight."""
    inputs, outputs = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])]
    weights = [helper.make_tensor("w", T.FLOAT, [1], [weight])]
    nodes = [("Mul", ["x", "w"], [f"m{kept}"], {}), ("Identity", [f"m{kept}"], ["y"], {})]
    path = repository / name / str(version) / "model.onnx"
    tiny.save(path, nodes, inputs, outputs, weights)
    config = tiny.config(8, "x FP32 4", "y FP32 4").replace("KIND_CPU", "KIND_GPU")
    config += CACHE % more + "version_policy { all { } }\n"
    (repository / name / "config.pbtxt").write_text(config, "utf-8")


def found(repository):
    report = check(Repository(repository))
    return {(each.model, each.rule.code) for each in report.findings if "ENG" in each.rule.code}


def test_two_models_of_one_graph_do_not_share_a_cache(tmp_path):
    place(tmp_path, "one", 1.0, SHARED)
    place(tmp_path, "two", 2.0, SHARED)
    assert ("two", "ENG201") in found(tmp_path)


@pytest.mark.parametrize(
    ("weight", "more", "kept"),
    [
        (1.0, SHARED, "y"),  # the same weights: one engine serves both
        (2.0, SHARED.replace("/engines", "/others"), "y"),
        (2.0, SHARED + ' parameters { key: "trt_engine_cache_prefix" value: "two" }', "y"),
        (2.0, SHARED, "z"),  # other names
    ],
)
def test_what_tells_engines_apart_is_seen(tmp_path, weight, more, kept):
    place(tmp_path, "one", 1.0, SHARED)
    place(tmp_path, "two", weight, more, kept=kept)
    assert ("two", "ENG201") not in found(tmp_path)


def test_versions_that_are_served_together_are_models_of_their_own(tmp_path):
    place(tmp_path, "one", 1.0, SHARED)
    place(tmp_path, "one", 2.0, SHARED, version=2)
    assert ("one", "ENG201") in found(tmp_path)


def test_a_key_of_the_weights_tells_later_versions_apart(tmp_path):
    place(tmp_path, "one", 1.0, SHARED)
    place(tmp_path, "two", 1.0, SHARED, kept=".key_0123456789ab")
    assert ("one", "ENG301") in found(tmp_path)
    assert ("two", "ENG301") not in found(tmp_path)


def test_engines_without_a_folder_are_told(tmp_path):
    place(tmp_path, "one", 1.0, "")
    assert ("one", "ENG302") in found(tmp_path)
