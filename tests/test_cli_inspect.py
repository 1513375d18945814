"""What is in a file, as a person and as a program reads it."""

import json

import graphs
import numpy as np
import onnx
import pytest
import tiny
from click.testing import CliRunner
from graphs import node
from test_outline import layers

from tritonforge import figures
from tritonforge.cli import main


def run(*words):
    """Run `inspect` and return how it ended."""
    return CliRunner().invoke(main, ["inspect", *map(str, words)])


def told(*words):
    """Run `inspect` and return what it prints."""
    ended = run(*words)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


@pytest.fixture
def heads(tmp_path):
    """A model that computes a shape."""
    onnx.save(graphs.heads(), tmp_path / "heads.onnx")
    return tmp_path / "heads.onnx"


def test_a_file_is_told_whole(heads):
    lines = {line.split()[0]: line.split()[1:] for line in told(heads).splitlines() if line.strip()}
    assert lines["IR"] == ["8"]
    assert lines["opsets"] == ["ai.onnx", "17"]
    assert lines["input"] == ["x", "float", "[n,", "8]"]
    assert lines["output"] == ["y", "float", "[n,", "2,", "4]"]
    assert lines["parameters"] == ["20"]
    assert lines["MatMul"] == ["ai.onnx", "1", "64"]
    assert lines["at"] == ["sizes", "n=1"]
    assert lines["activations"] == ["64", "B"]


def test_cost_is_for_the_sizes_that_are_asked_for(heads):
    assert json.loads(told(heads, "--format", "json"))["flops"] == 64
    assert json.loads(told(heads, "--size", "n=10", "--format", "json"))["flops"] == 640
    ended = run(heads, "--size", "m=10")
    assert ended.exit_code == 2
    assert "Hint: it has n" in ended.stderr


def test_json_holds_what_was_found(heads):
    found = json.loads(told(heads, "--format", "json"))
    assert found["path"] == str(heads)
    assert set(found) == {
        *("path", "producer", "ir", "opsets", "bytes", "inputs", "outputs", "nodes", "operators"),
        *("functions", "parameters", "weight_bytes", "weights", "largest", "external"),
        *("subgraphs", "sizes", "flops", "uncounted", "activation_bytes", "faults"),
    }
    assert found["inputs"] == [{"name": "x", "type": "float", "dims": ["n", 8]}]
    assert found["sizes"] == {"n": 1}


def test_a_model_of_the_repository_by_name_and_version(tmp_path):
    tiny.double(tmp_path)
    assert "double/1/model.onnx" in told("double", "-r", tmp_path)
    assert "double/1/model.onnx" in told("double", "-r", tmp_path, "-x", 1)
    ended = run("double", "-r", tmp_path, "-x", 2)
    assert (ended.exit_code, "has 1" in ended.stderr) == (2, True)
    ended = run("doubel", "-r", tmp_path)
    assert (ended.exit_code, "did you mean 'double'?" in ended.stderr) == (2, True)


def test_what_onnx_does_not_define_is_marked(tmp_path):
    nodes = [node("Own", ["x"], ["a"], domain="acme")]
    nodes.append(node("Gelu", ["a"], ["y"], domain="com.microsoft"))
    domains = [("acme", 1), ("com.microsoft", 1)]
    path = graphs.saved(tmp_path / "m.onnx", nodes, *graphs.ROW, domains=domains)
    text = told(path)
    assert "Own (acme, custom), Gelu (com.microsoft, contrib)" in text
    assert "com.microsoft (contrib)" in text
    assert "at least 0; unknown of Gelu, Own" in text
    assert "Own (acme)" in told(path, "--graph")


def test_faults_are_told(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(graphs.heads(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert "w.bin, 96 B" in told(path)
    (tmp_path / "w.bin").write_bytes(b"")
    text = told(path)
    assert "w.bin, 0 B (fault)" in text
    assert "Fault: needs more weights than 'w.bin' holds: 96 bytes, not 0" in text


def test_subgraphs_are_told(tmp_path):
    onnx.save(graphs.branching(), tmp_path / "m.onnx")
    text = told(tmp_path / "m.onnx", "--size", "n=8")
    assert "If choice, then_branch: 1 node, 1.02 k FLOPs" in text
    assert "Loop steps, body: 2 nodes, 64 FLOPs" in text


def test_the_graph_is_a_tree_with_shares_of_the_whole(tmp_path):
    onnx.save(layers(lambda index, rest: f"/encoder/layer.{index}/{rest}"), tmp_path / "m.onnx")
    text = told(tmp_path / "m.onnx", "--graph")
    (line,) = (line for line in text.splitlines() if "layer.0" in line)
    assert line.split() == [
        *("│", "└", "layer.0", "…", "layer.11", "×12", "float", "1x8", "36", "100.0%", "100.0%"),
    ]
    assert "all repetitions" in text
    assert "--depth" not in text
    shallow = told(tmp_path / "m.onnx", "--graph", "--depth", 1)
    assert "encoder" in shallow
    assert "layer.0" not in shallow
    found = json.loads(told(tmp_path / "m.onnx", "--graph", "--format", "json"))["graph"]
    assert found["parts"][0]["parts"][0]["times"] == 12


@pytest.mark.parametrize("scoped", [True, False])
def test_five_thousand_nodes_fit_on_a_screen_or_two(tmp_path, scoped):
    ops, draw = ["Relu", "Sigmoid", "Tanh", "Exp", "Abs"], np.random.default_rng(0)
    names = ["x", *(f"v{index}" for index in range(5000)), "y"]
    nodes = [
        node(
            draw.choice(ops),
            [names[index]],
            [names[index + 1]],
            name=f"/{index // 999}/{index // 99}/{index // 9}/last" if scoped else f"n{index}",
        )
        for index in range(5001)
    ]
    path = graphs.saved(tmp_path / "m.onnx", nodes, *graphs.ROW)
    text = told(path, "--graph")
    assert len(text.splitlines()) < 70
    assert max(map(len, text.splitlines())) <= 100
    assert f"--depth {'N opens further' if scoped else '1 shows all'}" in text
    assert scoped or "more: " in text
    assert " 5001 " in text
    assert len(told(path, "--graph", "--depth", 9).splitlines()) > 500


def test_depth_is_of_the_graph(heads):
    ended = run(heads, "--depth", 2)
    assert (ended.exit_code, "--graph" in ended.stderr) == (2, True)


@pytest.mark.parametrize("more", [(), ("--graph",)])
def test_bad_files_are_one_sentence_and_a_hint(tmp_path, more):
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "folder.onnx").mkdir()
    for name in ("empty.onnx", "text.onnx", "folder.onnx", "emty.onnx", "nowhere/m.onnx"):
        ended = run(tmp_path / name, *more)
        assert ended.exit_code == 2
        assert not ended.stdout
        error, hint = ended.stderr.splitlines()
        assert error.startswith("Error: ")
        assert hint.startswith("Hint: ")
    assert "did you mean" in run(tmp_path / "emty.onnx").stderr


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0"), (999, "999"), (1000, "1 k"), (999_999, "1 M"), (8_206_518_248, "8.21 G")],
)
def test_large_numbers_have_three_figures(count, written):
    assert figures.short(count) == written
