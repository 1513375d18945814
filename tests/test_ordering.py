"""Nodes in an order in which each value is made before it is read."""

import onnx
from graphs import made, node
from onnx import TensorProto as T

from tritonforge.graph.ordering import sort
from tritonforge.placement import place
from tritonforge.release import find

PAIR = [("x", T.FLOAT, [2])], [("z", T.FLOAT, [2])]


def test_nodes_are_sorted_and_a_cycle_stays():
    model = made([node("Relu", ["y"], ["z"]), node("Abs", ["x"], ["y"])], *PAIR)
    sort(model.graph)
    assert [each.op_type for each in model.graph.node] == ["Abs", "Relu"]

    cyclic = made([node("Add", ["x", "y"], ["z"]), node("Abs", ["z"], ["y"])], *PAIR)
    sort(cyclic.graph)
    assert [each.op_type for each in cyclic.graph.node] == ["Add", "Abs"]


def test_what_a_branch_reads_comes_before_it():
    inner = onnx.helper.make_graph(
        [node("Relu", ["y"], ["b"])], "branch", [], [onnx.ValueInfoProto(name="b")]
    )
    branch = node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    model = made([branch, node("Abs", ["x"], ["y"])], [*PAIR[0], ("c", T.BOOL, [])], PAIR[1])
    sort(model.graph)
    assert [each.op_type for each in model.graph.node] == ["Abs", "If"]


def test_a_file_out_of_order_is_placed_as_onnx_runtime_loads_it(tmp_path):
    model = made([node("Relu", ["y"], ["z"]), node("Abs", ["x"], ["y"])], *PAIR)
    onnx.save(model, tmp_path / "model.onnx")
    (found,) = place(tmp_path / "model.onnx", [find("24.10")], "cuda")
    assert found.refusal is None
    assert [each.op for each in found.nodes] == ["Abs", "Relu"]
