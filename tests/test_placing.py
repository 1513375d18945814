"""Whether releases load a model, and where its nodes land."""

import graphs
import numpy as np
import onnx
import pytest
from graphs import constant, made, node, weight
from onnx import TensorProto as T
from onnx import helper
from placements import placed

from tritonforge import release
from tritonforge.errors import GraphError
from tritonforge.placement import place

FLAT = made(
    [node("Flatten", ["x"], ["a"]), node("Relu", ["a"], ["y"])], *graphs.ROW, opset=21
)  # fmt: skip


def all_of(path, accelerator="cuda"):
    """Foretell for every release."""
    targets = [each.release for each in release.images() if each.release is not None]
    return list(place(path, targets, accelerator))


def test_every_release_is_told_by_its_own_tag(tmp_path):
    onnx.save(FLAT, tmp_path / "flat.onnx")
    found = all_of(tmp_path / "flat.onnx")
    by_tag = {each.release.tag: each for each in found}
    assert len(by_tag) == len(found) > 50
    assert "opset 21" in by_tag["24.04"].refusal
    assert by_tag["24.04"].nodes == ()
    assert by_tag["24.10"].counts == {"cpu": 1, "cuda": 1}
    assert by_tag["26.08"].counts == {"cuda": 2}
    assert by_tag["24.09"].prediction is by_tag["24.10"].prediction  # which run the same


def test_the_cpu_takes_all():
    found = placed(FLAT, accelerator="cpu")
    assert found.counts == {"cpu": 2}
    assert found.lost == ()
    assert found.shares == {"cpu": 1.0}


def test_shares_are_of_what_is_computed():
    nodes = [node("MatMul", ["x", "W"], ["a"]), node("Flatten", ["a"], ["y"])]
    found = placed(made(nodes, *graphs.ROW, [weight("W", 8, 8)], opset=21))
    assert found.counts == {"cuda": 1, "cpu": 1}
    assert found.shares == {"cuda": 1.0, "cpu": 0.0}


def test_shares_are_unknown_where_shapes_are():
    nodes = [node("NonZero", ["x"], ["at"]), node("Cast", ["at"], ["f"], to=1)]
    nodes.append(node("Relu", ["f"], ["y"]))
    assert placed(made(nodes, graphs.ROW[0], [("y", T.FLOAT, None)])).shares is None


def test_half_floats_that_the_cpu_widens():
    pair = [("x", T.FLOAT16, [2, 8])], [("y", T.FLOAT16, [2, 8])]
    model = made([node("Sigmoid", ["x"], ["y"])], *pair)
    assert [each.widened for each in placed(model, accelerator="cpu").nodes] == [True]
    assert [each.widened for each in placed(model).nodes] == [False]


def test_custom_operators_are_refused_by_name():
    found = placed(graphs.one("Mine", [("x", [2])], [("y", [2])], domain="my.own"))
    assert "Mine" in found.refusal
    assert "my.own" in found.refusal


def test_nodes_of_branches_name_the_node_around_them():
    found = placed(graphs.branching())
    paths = {(each.op, each.path) for each in found.nodes if each.path}
    assert ("MatMul", ("choice",)) in paths
    assert ("Add", ("steps",)) in paths


def test_large_constants_are_weights_wherever_they_lie(tmp_path):
    big = np.ones((64, 64), np.float32)
    inner = node("Constant", [], ["c"], value=onnx.numpy_helper.from_array(big, "c"))
    branches = {
        side: helper.make_graph(
            [inner, node("MatMul", ["x", "c"], [f"{side}_y"])],
            side,
            [],
            [helper.make_tensor_value_info(f"{side}_y", 1, None)],
        )
        for side in ("then", "else")
    }
    branches["else"].node[0].output[0] = branches["else"].node[1].input[1] = "d"
    nodes = [
        node("Constant", [], ["W"], value=onnx.numpy_helper.from_array(big, "W")),
        node("MatMul", ["x", "W"], ["a"]),
        node("ReduceMax", ["a"], ["most"], keepdims=0),
        node("Greater", ["most", "zero"], ["is"]),
        node("If", ["is"], ["y"], then_branch=branches["then"], else_branch=branches["else"]),
    ]
    path = graphs.saved(
        tmp_path / "large.onnx",
        nodes,
        [("x", T.FLOAT, [2, 64])],
        [("y", T.FLOAT, None)],
        [constant("zero", 0, np.float32)],
    )
    found = all_of(path)[-1]
    assert (found.refusal, found.unoptimized) == (None, None)
    assert sum(each.op == "MatMul" for each in found.nodes) == 3


def test_nodes_without_a_name_get_one_by_their_place(tmp_path):
    nodes = [node("Relu", ["x"], ["a"], name="Relu_1"), node("Relu", ["a"], ["y"])]
    path = graphs.saved(tmp_path / "two.onnx", nodes, *graphs.ROW)
    names = [each.name for each in all_of(path)[-1].nodes]
    assert names == ["Relu_1", "Relu_1_1"]


def test_a_damaged_file(tmp_path):
    (tmp_path / "cut.onnx").write_bytes(FLAT.SerializeToString()[:-20])
    with pytest.raises(GraphError):
        all_of(tmp_path / "cut.onnx")


def test_values_that_were_left_out_are_no_fault(tmp_path):
    """Those of functions, sparse weights and attributes are not read; a session would miss them."""
    many = constant("many", list(range(1000)), np.float32)
    sparse = helper.make_sparse_tensor(many, constant("at", list(range(1000))), [1000])
    for name, given in {
        "function": helper.make_node("Constant", [], ["c"], value=many),
        "sparse": helper.make_node("Constant", [], ["c"], sparse_value=sparse),
    }.items():
        add = [given, node("Add", ["x", "c"], ["y"])]
        body = helper.make_function(
            "my.own", "Mine", ["x"], ["y"], add, [helper.make_opsetid("", 17)]
        )
        pair = [("x", T.FLOAT, [1000])], [("y", T.FLOAT, [1000])]
        call = [node("Mine", ["x"], ["y"], domain="my.own")]
        model = (
            made(call, *pair, domains=[("my.own", 1)], functions=[body])
            if name == "function"
            else made(add, *pair)
        )
        onnx.save(model, tmp_path / "model.onnx")
        found = next(place(tmp_path / "model.onnx", [release.find("24.10")], "cuda"))
        assert found.refusal is None, name
