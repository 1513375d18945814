"""The accelerator that is left open: decided by placement, cost and what is declared."""

import json

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from onnx import TensorProto as T
from onnx import numpy_helper

from tritonforge import deciding, release
from tritonforge.cli import main
from tritonforge.errors import SpecError
from tritonforge.spec import ModelSpec, Range


def products(tmp_path, width, dims=("n",)):
    """Save a model of one product."""
    weight = numpy_helper.from_array(np.ones((width, width), np.float32), "w")
    nodes = [("MatMul", ["x", "w"], ["y"], {})]
    given, made = [("x", T.FLOAT, [*dims, width])], [("y", T.FLOAT, [*dims, width])]
    return tiny.save(tmp_path / "products.onnx", nodes, given, made, [weight])


def convolutions(tmp_path, size):
    """Save a model of one large convolution of images."""
    weight = numpy_helper.from_array(np.ones((64, 64, 3, 3), np.float32), "w")
    nodes = [("Conv", ["x", "w"], ["y"], {"pads": [1, 1, 1, 1]})]
    image = ["n", 64, *size]
    return tiny.save(
        tmp_path / "images.onnx", nodes, [("x", T.FLOAT, image)], [("y", T.FLOAT, image)], [weight]
    )


def decide(path, **wishes):
    said = {"target": release.find("24.10"), "accelerator": "auto", "device": "gpu", **wishes}
    return deciding.decided(path, ModelSpec(source=str(path), **said))


def test_a_big_model_of_standard_operators_in_batches_goes_to_tensorrt(tmp_path):
    found = decide(convolutions(tmp_path, [224, 224]))
    assert found.accelerator == "tensorrt"
    assert "a row takes 3.7 GFLOPs in batches up to 16" in found.reason
    assert "takes 100% of them" in found.reason
    assert decide(convolutions(tmp_path, [224, 224]), max_batch_size=4).accelerator == "cuda"


def test_a_small_model_may_be_answered_by_the_cpu(tmp_path):
    found = decide(products(tmp_path, 8))
    assert found.accelerator == "cpu"
    assert "measure" in found.reason


def test_what_tensorrt_would_cut_up_goes_to_cuda(tmp_path):
    nodes = [("MatMul", ["x", "x"], ["y"], {}), ("Det", ["x"], ["d"], {})]
    square = ["n", 600, 600]
    made = [("y", T.FLOAT, square), ("d", T.FLOAT, ["n"])]
    found = decide(tiny.save(tmp_path / "cut.onnx", nodes, [("x", T.FLOAT, square)], made))
    assert found.accelerator == "cuda"
    assert "without Det" in found.reason


def test_sizes_are_those_of_the_ranges(tmp_path):
    path = products(tmp_path, 512, ("n", "seq"))
    found = decide(path, ranges=(("seq", Range(low=4000, high=4000)),))
    assert (found.accelerator, "a row takes 2.1 GFLOPs" in found.reason) == ("tensorrt", True)
    assert decide(path, ranges=(("seq", Range(high=2)),)).accelerator == "cpu"


def test_what_is_decided_for_the_cpu_runs_there(tmp_path):
    path = products(tmp_path, 8)
    spec = ModelSpec(
        source=str(path),
        target=release.find("24.10"),
        accelerator="auto",
        device="gpu",
        max_cpu_nodes=0,
    )
    under = deciding.under(spec, deciding.decided(path, spec))
    assert (under.accelerator, under.device, under.max_cpu_nodes) == ("cpu", "cpu", None)
    assert deciding.under(spec, None) == spec


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ((), "dimension 'h' has no upper end"),
        ((("h", Range(high=4096)), ("w", Range(high=4096))), "'h' goes from 1 to 4096"),
    ],
)
def test_wild_shapes_go_to_cuda(tmp_path, ranges, said):
    found = decide(convolutions(tmp_path, ["h", "w"]), ranges=ranges)
    assert found.accelerator == "cuda"
    assert said in found.reason


def test_int8_and_edge_devices_go_to_tensorrt(tmp_path):
    path = products(tmp_path, 8)
    assert decide(path, precision="int8").accelerator == "tensorrt"
    assert decide(path, tensorrt={"trt_dla_enable": "1"}).accelerator == "tensorrt"


def test_without_a_gpu_it_is_the_cpu_and_what_is_not_declared_is_asked_for(tmp_path):
    path = products(tmp_path, 8)
    assert decide(path, device="cpu").accelerator == "cpu"
    assert decide(path, accelerator="cuda") is None
    with pytest.raises(SpecError, match="by what the server will have") as caught:
        ModelSpec(source="m.onnx", target=release.find("24.10"), accelerator="auto")
    assert "--device cpu or --device gpu" in caught.value.hint


def test_a_build_says_what_was_decided_and_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = convolutions(tmp_path, [224, 224])
    words = ["build", str(path), "--accelerator", "auto", "--max-batch-size", "8", "--dry-run"]
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 2
    assert "declare it" in told.stderr
    told = CliRunner().invoke(main, [*words, "--device", "gpu", "--format", "json"])
    answer = json.loads(told.stdout)
    assert answer["accelerator"] == "tensorrt"
    assert answer["accelerator_reason"].startswith("accelerator tensorrt: a row takes 3.7 G")
    assert 'name: "tensorrt"' in answer["config"]
