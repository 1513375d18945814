"""Where nodes land, as a person and as a program reads it."""

import json

import graphs
import numpy as np
import onnx
import pytest
import tiny
from click.testing import CliRunner
from graphs import node, weight
from onnx import TensorProto as T
from onnx import helper, numpy_helper
from test_inlining import grouped

from tritonforge import release
from tritonforge.cli import main
from tritonforge.graph import runtime

_NODE = {
    *("name", "op", "domain", "since_version", "path", "inlined", "provider", "reason", "flops"),
    *("widened", "observed"),
}


def run(*words):
    """Run `place` and return how it ended."""
    return CliRunner().invoke(main, ["place", *map(str, words)])


def told(*words, code=0):
    """Run `place` and return what it prints, a line's runs of blanks as one."""
    ended = run(*words)
    assert ended.exit_code == code, ended.output
    return "\n".join(" ".join(line.split()) for line in ended.stdout.splitlines())


def read(*words, code=0):
    """Run `place` for JSON and read it."""
    ended = run(*words, "--format", "json")
    assert ended.exit_code == code, ended.output
    return json.loads(ended.stdout)


@pytest.fixture
def newer(tmp_path):
    """A model of an opset at which 24.10 keeps no CUDA kernel of Transpose."""
    nodes = [
        node("MatMul", ["x", "W"], ["a"], name="product"),
        node("Transpose", ["a"], ["b"], name="turn"),
        node("Transpose", ["b"], ["c"], name="back", perm=[0, 1]),
        node("Relu", ["c"], ["y"], name="relu"),
    ]
    nodes[2] = node("Flatten", ["b"], ["c"], name="flat")
    pair = [("x", T.FLOAT, ["n", 8])], [("y", T.FLOAT, ["m", "n"])]
    return graphs.saved(tmp_path / "newer.onnx", nodes, *pair, [weight("W", 8, 8)], opset=21)


def test_what_is_elsewhere_is_told_with_its_reason(newer):
    text = told(newer)
    assert "target 24.10, ONNX Runtime 1.19.2" in text
    assert "loads yes" in text
    assert "nodes CUDA 2, CPU 2" in text
    assert "FLOPs CUDA 100%, CPU 0%" in text
    assert "islands 3, each run by one provider without a break" in text
    assert "copies 2 of values between host and GPU" in text
    assert "Transpose 1 CPU no kernel for Transpose since version 21, the newest is of 13" in text
    assert "turn" in text
    assert "product" not in text


def test_every_node_is_told_on_demand(newer):
    text = told(newer, "--nodes")
    assert "product MatMul CUDA" in text
    assert "turn Transpose CPU no kernel for Transpose since version 21" in text


def test_a_release_that_keeps_its_kernels_has_nothing_to_tell(newer):
    assert "Not on CUDA" not in told(newer, "--target", "26.08")


def test_json_holds_every_node(newer):
    found = read(newer)
    assert set(found) == {"path", "loads", "foretold", "observed", "nodes"}
    assert found["path"] == str(newer)
    assert found["loads"] is True
    assert found["observed"] is None
    assert found["foretold"] == {
        "target": "24.10",
        "onnxruntime": "1.19.2",
        "accelerator": "cuda",
        "loads": True,
        "refusal": None,
        "providers": [
            {"provider": "CUDAExecutionProvider", "nodes": 2, "flops_share": 1.0},
            {"provider": "CPUExecutionProvider", "nodes": 2, "flops_share": 0.0},
        ],
        "uncounted": 0,
        "unoptimized": None,
        "islands": 3,
        "copies": 2,
        "tensorrt": None,
    }
    assert [set(each) for each in found["nodes"]] == [_NODE] * 4
    by_name = {each["name"]: each for each in found["nodes"]}
    turn = by_name["turn"]
    assert (turn["op"], turn["domain"], turn["since_version"]) == ("Transpose", "ai.onnx", 21)
    assert turn["provider"] == "CPUExecutionProvider"
    assert turn["reason"]["kind"] == "version"
    assert by_name["product"]["reason"] is None
    assert by_name["product"]["flops"] == 128
    sized = {each["name"]: each for each in read(newer, "--size", "n=10")["nodes"]}
    assert sized["product"]["flops"] == 1280


def test_what_is_known_of_the_work_is_told_where_a_node_is_unknown(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("NonZero", ["a"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=T.FLOAT),
        helper.make_node("Exp", ["f"], ["y"]),
    ]
    values = [("x", T.FLOAT, ["n", 8])], [("y", T.FLOAT, None)]
    path = graphs.saved(tmp_path / "m.onnx", nodes, *values, [graphs.weight("w", 8, 8)])
    assert "FLOPs CUDA 100% of what is known, without 1 of 4 nodes: Exp" in told(path)
    found = read(path)["foretold"]
    assert (found["uncounted"], found["providers"][0]["flops_share"]) == (1, 1.0)


def test_nodes_of_a_body_name_what_they_stand_for(tmp_path):
    path = tmp_path / "gn.onnx"
    path.write_bytes(grouped().SerializeToString())
    assert "written out gn: " in told(path)
    assert "part of gn" in told(path, "--nodes")
    assert {each["inlined"] for each in read(path)["nodes"]} == {"gn"}


def test_nodes_of_branches_say_where_they_lie(tmp_path):
    path = tmp_path / "branching.onnx"
    path.write_bytes(graphs.branching().SerializeToString())
    assert ["choice"] in [each["path"] for each in read(path)["nodes"]]
    assert "choice/product MatMul CUDA" in told(path, "--nodes")


def test_all_releases_in_a_line_each(newer):
    text = told(newer, "--target", "all")
    lines = {line.split()[0]: line for line in text.splitlines() if line[:2].isdigit()}
    assert list(lines) == [each.tag for each in release.images() if each.release]
    assert lines["24.04"] == "24.04 1.17.3 no opset 21 of ai.onnx, which it takes up to 20"
    assert lines["24.10"] == "24.10 1.19.2 yes 2 2 Transpose 1, Flatten 1"
    assert lines["26.08"] == "26.08 1.28.0 yes 4 0"
    rows = read(newer, "--target", "all")["targets"]
    assert [each["target"] for each in rows] == list(lines)
    assert {each["loads"] for each in rows} == {True, False}


def test_a_refused_model_is_a_no(newer):
    text = told(newer, "--target", "24.04", code=1)
    assert "loads no: opset 21 of ai.onnx, which it takes up to 20" in text
    found = read(newer, "--target", "24.04", code=1)
    assert found["loads"] is False
    assert found["foretold"]["refusal"]
    assert (found["foretold"]["islands"], found["nodes"]) == (None, [])


def test_custom_operators_are_refused_by_name(tmp_path):
    mine = [node("Mine", ["x"], ["y"], domain="my.own")]
    path = graphs.saved(tmp_path / "m.onnx", mine, *graphs.ROW, domains=[("my.own", 1)])
    assert "no operator Mine" in told(path, code=1)
    assert {each["loads"] for each in read(path, "--target", "all")["targets"]} == {False}


def test_tensorrt_says_how_sure_it_is(newer):
    text = told(newer, "--accelerator", "tensorrt")
    assert "how sure TensorRT 10.4, not stated for this image, taken from a hint;" in text
    assert "opset 21 is above its parser's 20" in text
    sure = read(newer, "--accelerator", "tensorrt")["foretold"]["tensorrt"]
    assert (sure["parser"], sure["parser_source"], sure["table_read"]) == ("10.4", "hinted", True)
    assert (sure["opset"], sure["parser_opset"]) == (21, 20)
    assert sure["restricted"] == []
    lines = told(newer, "--accelerator", "tensorrt", "--target", "all").splitlines()
    assert next(line for line in lines if line.startswith("26.08")).endswith("yes 4 0 0")


def test_tensorrt_of_a_runtime_alone_is_unknown(newer):
    ended = run(newer, "--accelerator", "tensorrt", "--target", "ort:1.19.2")
    assert ended.exit_code == 2
    assert "Hint: name an NGC tag" in ended.stderr


def test_nothing_is_foretold_of_openvino(newer):
    for words in ((), ("--target", "all")):
        ended = run(newer, "--accelerator", "openvino", *words)
        assert ended.exit_code == 2
        assert "nothing is foretold of OpenVINO" in ended.stderr
        assert "--observe" in ended.stderr


def test_what_was_foretold_stands_beside_what_was_observed(newer):
    text = told(newer, "--accelerator", "cpu", "--observe")
    assert f"target ONNX Runtime {runtime()}" in text
    assert f"observed ONNX Runtime {runtime()}, by its record of assignments" in text
    assert "4 nodes as foretold, 0 elsewhere" in text
    assert "product MatMul CPU CPU" in told(newer, "--accelerator", "cpu", "--observe", "--nodes")
    found = read(newer, "--accelerator", "cpu", "--observe")
    assert found["observed"] == {
        "onnxruntime": runtime(),
        "told_by": "assignment",
        "refusal": None,
        "as_foretold": 4,
        "elsewhere": 0,
    }
    assert {each["observed"] for each in found["nodes"]} == {"CPUExecutionProvider"}


def test_a_targets_own_runtime_is_observed_where_it_is_installed(embedded, newer):
    words = (newer, "--accelerator", "cpu", "--observe", "--target", embedded.release)
    assert read(*words)["observed"]["told_by"] == "log"


def test_a_session_that_cannot_be_had_is_an_error(newer):
    ended = run(newer, "--observe")
    assert ended.exit_code == 2
    assert "has no CUDAExecutionProvider" in ended.stderr
    assert "Hint: install onnxruntime-gpu" in ended.stderr
    assert ended.stdout == ""


def test_a_model_of_the_repository_by_its_version(tmp_path):
    tiny.double(tmp_path, "double")
    assert "loads yes" in told("double", "-r", tmp_path, "-x", 1)
    assert run("double", "-r", tmp_path, "-x", 7).exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.onnx",), "no file nothing.onnx"),
        (("nothing",), "no model 'nothing'"),
        (("{newer}", "-x", "1"), "MODEL is a file"),
        (("{newer}", "--target", "24.99"), "unknown target '24.99'"),
        (("{newer}", "--accelerator", "tpu"), "'tpu' is not one of"),
        (("{newer}", "--target", "all", "--observe"), "--observe asks one ONNX Runtime"),
        (("{newer}", "--target", "all", "--nodes"), "--nodes lists those of one release"),
        (("{newer}", "--size", "n=3", "--size", "n=3"), "names 'n' twice"),
        (("{newer}", "--size", "q=3"), "no input has a dynamic dimension 'q'"),
    ],
)
def test_wrong_use(newer, words, said):
    ended = run(*(word.format(newer=newer) for word in words))
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_a_damaged_file(tmp_path):
    (tmp_path / "cut.onnx").write_bytes(graphs.heads().SerializeToString()[:60])
    ended = run(tmp_path / "cut.onnx")
    assert ended.exit_code == 2
    assert "Hint: " in ended.stderr


@pytest.mark.parametrize("broken", ["cycle", "nowhere", "twice"])
def test_a_graph_that_no_runtime_takes_is_refused(tmp_path, broken):
    names = {"cycle": ("b", "a"), "nowhere": ("z", "a"), "twice": ("x", "y")}[broken]
    nodes = [
        helper.make_node("Relu", [names[0]], [names[1]]),
        helper.make_node("Abs", ["x"], ["y"]),
    ]
    if broken == "cycle":
        nodes.append(helper.make_node("Relu", ["a"], ["b"]))
    values = [helper.make_tensor_value_info(name, T.FLOAT, ["n", 4]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, ir_version=8), tmp_path / "m.onnx")
    ended = run(tmp_path / "m.onnx")
    assert ended.exit_code == 1
    assert "no:" in ended.stdout


def test_missing_weights_are_no_model_that_loads(tmp_path):
    values = [helper.make_tensor_value_info(name, T.FLOAT, ["n", 400]) for name in "xy"]
    weight = numpy_helper.from_array(np.ones(400, np.float32), "w")
    node = helper.make_node("Add", ["x", "w"], ["y"])
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], [weight]))
    where = {"save_as_external_data": True, "location": "gone.bin", "size_threshold": 0}
    onnx.save(model, tmp_path / "m.onnx", **where)
    (tmp_path / "gone.bin").unlink()
    ended = run(tmp_path / "m.onnx")
    assert ended.exit_code == 1
    assert "gone.bin" in ended.stdout
