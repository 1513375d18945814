"""Graphs whose names do not hold together, as ONNX Runtime finds them at first sight."""

import onnx
import pytest
import tiny
from onnx import TensorProto as T
from onnx import helper

from tritonforge import graph
from tritonforge.errors import GraphError

NODES, INPUTS, OUTPUTS = tiny.DOUBLE


def model(nodes=NODES, inputs=INPUTS, outputs=OUTPUTS):
    return helper.make_model(
        helper.make_graph(
            [helper.make_node(op, ins, outs, **more) for op, ins, outs, more in nodes],
            "g",
            [helper.make_tensor_value_info(*each) for each in inputs],
            [helper.make_tensor_value_info(*each) for each in outputs],
        ),
        opset_imports=[helper.make_opsetid("", tiny.OPSET)],
        ir_version=tiny.IR,
    )


def branch(name, reads):
    return helper.make_graph(
        [helper.make_node("Identity", [reads], [name])],
        "branch",
        [],
        [helper.make_tensor_value_info(name, T.FLOAT, None)],
    )


def conditional(reads):
    more = {"then_branch": branch("a", reads), "else_branch": branch("b", "x")}
    nodes = [("Cast", ["x"], ["c"], {"to": T.BOOL}), ("If", ["c"], ["y"], more)]
    return model(nodes, [("x", T.FLOAT, [])], [("y", T.FLOAT, None)])


SOUND = {
    "plain": model(),
    "out_of_order": model([("Neg", ["m"], ["y"], {}), ("Neg", ["x"], ["m"], {})]),
    "left_out": model([("Clip", ["x", "", ""], ["y"], {})]),
    "outer": conditional("x"),
}
UNSOUND = {
    "from_nowhere": (model([("Add", ["x", "z"], ["y"], {})]), "reads 'z', which nothing gives"),
    "no_output": (model(outputs=[("q", T.FLOAT, ["n", 4])]), "output 'q' is given by nothing"),
    "twice": (model([*NODES, ("Neg", ["x"], ["y"], {})]), "two values are named 'y'"),
    "doubled": (model(inputs=[*INPUTS, *INPUTS]), "two inputs are named 'x'"),
    "in_a_branch": (conditional("z"), "reads 'z', which nothing gives"),
}


@pytest.mark.parametrize("name", SOUND)
def test_names_that_hold_together_are_loaded(name, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(SOUND[name], path)
    assert graph.unsound(SOUND[name]) is None
    with graph.session(path):
        pass


@pytest.mark.parametrize("name", UNSOUND)
def test_names_that_do_not_are_told_and_refused(name, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(UNSOUND[name][0], path)
    assert UNSOUND[name][1] in graph.unsound(UNSOUND[name][0])
    with pytest.raises(GraphError), graph.session(path):
        pass
