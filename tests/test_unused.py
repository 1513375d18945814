"""Inputs that no node reads, in branches too."""

from graphs import T, made, node, value
from onnx import helper

from tritonforge import graph

INPUTS = [("x", T.FLOAT, ["n", 8]), ("c", T.BOOL, [1]), ("y", T.FLOAT, ["n", 8])]


def test_an_input_is_used_by_nodes_branches_and_outputs():
    def branch(name):
        out = value("out", T.FLOAT, ["n", 8])
        return helper.make_graph([node("Neg", [name], ["out"])], name, [], [out])

    chosen = node("If", ["c"], ["z"], then_branch=branch("x"), else_branch=branch("x"))
    model = made([chosen], INPUTS, [("z", T.FLOAT, ["n", 8])])
    assert graph.unused_inputs(model) == ("y",)
    graph.drop_inputs(model, {"y"})
    assert [each.name for each in model.graph.input] == ["x", "c"]
    passed = made([], INPUTS[:1], INPUTS[:1])
    assert graph.unused_inputs(passed) == ()
