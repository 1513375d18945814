"""`tritonforge build` for an accelerator."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny
from click.testing import CliRunner
from onnx import TensorProto as T
from onnx import numpy_helper

from tritonforge.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def reshaped(tmp_path):
    """Save a model whose Reshape has no CUDA kernel at opset 21 before ONNX Runtime 1.24."""
    nodes = [("Reshape", ["x", "shape"], ["y"], {})]
    sizes = [numpy_helper.from_array(np.array([0, 2, 2], np.int64), "shape")]
    given = [("x", T.FLOAT, ["n", 4])]
    made = [("y", T.FLOAT, ["n", 2, 2])]
    path = tiny.save(tmp_path / "reshaped.onnx", nodes, given, made, sizes)
    model = onnx.load(path)
    model.opset_import[0].version = 21
    model.ir_version = 10
    onnx.save(model, path)
    return path


def test_a_build_for_a_gpu_says_which_opset_and_asks_for_a_gpu(run, reshaped):
    told = run("build", reshaped, "--accelerator", "cuda", "--format", "json")
    answer = json.loads(told.stdout)
    assert answer["opset"] == 20
    assert answer["opset_reason"].startswith("opset 20, not 21: at 21 ONNX Runtime 1.19.2 has no")
    assert "kind: KIND_GPU" in answer["config"]


def test_more_nodes_on_the_cpu_than_allowed_fail_a_build(run, reshaped):
    wish = ("build", reshaped, "--accelerator", "cuda", "--opset", "21")
    told = run(*wish, "--max-cpu-nodes", "0")
    assert told.exit_code == 1
    assert (
        "1 of 1 nodes would run on the CPU for want of a CUDA kernel, 0 are allowed: Reshape"
        in told.stderr
    )
    assert not Path("model_repository/reshaped").exists()
    told = run(*wish, "--max-cpu-nodes", "0", "--allow-cpu", "Reshape")
    assert told.exit_code == 0
    assert "Note: 1 of 1 nodes go to the CPU, for want of a CUDA kernel: Reshape" in told.stdout
    assert "for 24.10" in told.stdout
    assert "), as given; file " in told.stdout


def test_a_limit_without_a_gpu_is_wrong_use(run, reshaped):
    told = run("build", reshaped, "--max-cpu-nodes", "0")
    assert told.exit_code == 2
    assert "--accelerator cuda" in told.stderr


def test_what_is_built_for_openvino_is_rehearsed_without_it(run, reshaped, embedded):
    del embedded
    assert run("build", reshaped, "--accelerator", "openvino").exit_code == 0
    told = run("parity", "reshaped")
    assert told.exit_code == 0, told.output
    assert "openvino" in told.stderr
    assert "rehearsal" in told.output


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('source = "no.py:net"', "tritonforge.toml:2: source: no file no.py"),
        ('seed = 3\nsource = "no.onnx"', "tritonforge.toml:3: source: no file no.onnx"),
        ('source = "net.py:net"\nweights = "w.pt"', "tritonforge.toml:3: weights: no weights at"),
        ('source = "net.py:nets"', "tritonforge.toml:2: source: "),
        ("seed = 3", "tritonforge.toml:1: torchvision and timm have no model 'm'"),
    ],
)
def test_what_is_wrong_of_a_models_source_names_the_line_that_says_it(run, table, said):
    Path("tritonforge.toml").write_text(f"[models.m]\n{table}\n")
    net = "import torch\ndef net():\n    return torch.nn.Linear(2, 2), (torch.ones(3, 2),)\n"
    Path("net.py").write_text(net)
    told = run("build", "m")
    assert told.exit_code == 2
    assert told.stderr.splitlines()[-2].startswith(f"Error: {said}")
