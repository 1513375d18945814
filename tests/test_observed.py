"""What a real session says of where nodes are."""

import subprocess
import sys

import graphs
import pytest
from graphs import made, node
from onnx import TensorProto as T
from test_inlining import grouped

from tritonforge import release, toolchain
from tritonforge.errors import SpecError, ToolchainError
from tritonforge.graph import named, runtime
from tritonforge.placement import at_hand, observe, observed

MIXED = """\
2026 [V:onnxruntime:, session_state.cc:1146 VerifyEachNodeIsAssignedToAnEp] Node placements
2026 [V:onnxruntime:, session_state.cc:1152 VerifyEachNodeIsAssignedToAnEp]  Node(s) placed on \
[CUDAExecutionProvider]. Number of nodes: 2
2026 [V:onnxruntime:, session_state.cc:1154 VerifyEachNodeIsAssignedToAnEp]   Gather (a (b) c)
2026 [V:onnxruntime:, session_state.cc:1154 VerifyEachNodeIsAssignedToAnEp]   MemcpyToHost (Memcpy)
2026 [V:onnxruntime:, session_state.cc:1152 VerifyEachNodeIsAssignedToAnEp]  Node(s) placed on \
[CPUExecutionProvider]. Number of nodes: 1
2026 [V:onnxruntime:, session_state.cc:1154 VerifyEachNodeIsAssignedToAnEp]   Shape ()
2026 [I:onnxruntime:, inference_session.cc:2033 Initialize] Session (initialized)
"""


def test_a_log_is_read_by_provider():
    nodes, alone = observed._from_log(MIXED)
    assert alone is None
    assert [(each.op, each.name, each.provider) for each in nodes] == [
        ("Gather", "a (b) c", "cuda"),
        ("Shape", "", "cpu"),
    ]


def test_the_installed_runtime_tells_each_node(tmp_path):
    path = graphs.saved(tmp_path / "b.onnx", [node("Relu", ["x"], ["y"], name="r")], *graphs.ROW)
    seen = observe(path, "cpu", at_hand())
    assert (seen.runtime, seen.told_by, seen.refusal) == (runtime(), "assignment", None)
    assert [(each.name, each.op, each.domain, each.provider) for each in seen.nodes] == [
        ("r", "Relu", "ai.onnx", "cpu")
    ]


def test_nodes_of_subgraphs_are_told_too(tmp_path):
    path = tmp_path / "b.onnx"
    path.write_bytes(graphs.branching().SerializeToString())
    with named(path) as file:
        seen = observe(file, "cpu", at_hand())
    assert {"If", "Loop", "MatMul", "Add"} <= {each.op for each in seen.nodes}
    assert all(each.name for each in seen.nodes)


def test_a_provider_that_is_not_there_is_never_replaced_in_silence(tmp_path):
    path = graphs.saved(tmp_path / "b.onnx", [node("Relu", ["x"], ["y"])], *graphs.ROW)
    with pytest.raises(SpecError, match="has no CUDAExecutionProvider") as caught:
        observe(path, "cuda", at_hand())
    assert "onnxruntime-gpu" in caught.value.hint


def test_a_refused_model_is_told_in_the_sessions_words(tmp_path):
    path = graphs.saved(
        tmp_path / "b.onnx", [node("Mine", ["x"], ["y"], domain="my.own")], *graphs.ROW,
        domains=[("my.own", 1)],
    )  # fmt: skip
    seen = observe(path, "cpu", at_hand())
    assert "Mine" in seen.refusal
    assert seen.nodes == ()


def test_an_older_runtime_tells_it_in_its_log(embedded, tmp_path):
    target = release.find(embedded.release)
    asked = at_hand(target)
    assert asked.version == target.onnxruntime
    path = tmp_path / "b.onnx"
    path.write_bytes(grouped(opset=21).SerializeToString())
    seen = observe(path, "cpu", asked)
    assert (seen.runtime, seen.told_by, seen.alone) == ("1.19.2", "log", "cpu")


def test_a_target_whose_runtime_is_not_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(tmp_path))
    assert toolchain.installed(release.find("22.12")) is None
    with pytest.raises(ToolchainError) as caught:
        at_hand(release.find("22.12"))
    assert "toolchain install --target 22.12" in caught.value.hint


def test_names_are_given_in_a_copy(tmp_path):
    path = graphs.saved(tmp_path / "b.onnx", [node("Relu", ["x"], ["y"])], *graphs.ROW)
    before = path.read_bytes()
    with named(path) as file:
        assert file != path
    assert not file.exists()
    assert path.read_bytes() == before
    whole = graphs.saved(tmp_path / "w.onnx", [node("Relu", ["x"], ["y"], name="r")], *graphs.ROW)
    with named(whole) as file:
        assert file == whole


def test_text_runs_on_the_cpu(tmp_path):
    pair = [("x", T.STRING, [2])], [("y", T.STRING, [2])]
    path = tmp_path / "t.onnx"
    path.write_bytes(made([node("Identity", ["x"], ["y"], name="i")], *pair).SerializeToString())
    assert [each.provider for each in observe(path, "cpu", at_hand()).nodes] == ["cpu"]


@pytest.mark.slow
def test_openvino_takes_what_it_can(tmp_path):
    root = tmp_path / "openvino"
    subprocess.run([sys.executable, "-m", "venv", root], check=True, timeout=120)
    python = root / "bin" / "python"
    wanted = ["onnxruntime-openvino==1.24.1", "numpy"]
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True, timeout=900)
    asked = observed.Runtime(version="1.24.1", python=(str(python), "-I"))
    nodes = [
        node("Relu", ["x"], ["a"], name="relu"),
        node("Cast", ["a"], ["y"], name="text", to=T.STRING),
    ]
    path = graphs.saved(tmp_path / "m.onnx", nodes, graphs.ROW[0], [("y", T.STRING, ["n", 8])])
    seen = observe(path, "openvino", asked)
    assert seen.told_by == "assignment"
    assert {each.name: each.provider for each in seen.nodes} == {"relu": "openvino", "text": "cpu"}
