"""Shapes that depend on values."""

import graphs
import pytest
from graphs import node

from tritonforge.graph import cost, shapes, typed


def dims(model):
    """Fill in a model's shapes and return them by name, from every graph."""
    declared = {each.name: each.type for each in (*model.graph.value_info, *model.graph.output)}
    found = typed.inferred(model)
    shapes.fill(found, declared)
    return {
        name: cost.shape(each.scope.get(name))
        for each in typed.nodes(found.graph, typed.opsets(found.opset_import))
        for name in each.proto.output
    }


def test_a_shape_that_the_graph_computes_is_known():
    model = graphs.heads()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    found = dims(model)
    assert found["parts"] == (3, 2, 4)
    assert found["y"] == (3, 2, 4)


def test_so_is_one_in_a_branch():
    model = graphs.branching()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8
    found = dims(model)
    assert (found["t"], found["e"], found["y0"], found["y"]) == ((8, 8),) * 3 + (None,)


def test_what_depends_on_values_of_inputs_is_not():
    nodes = [node("NonZero", ["x"], ["where"]), node("Relu", ["f"], ["y"])]
    nodes.insert(1, node("Cast", ["where"], ["f"], to=1))
    found = dims(graphs.made(nodes, [("x", 1, [2, 3])], [("y", 1, None)]))
    assert found == {"where": None, "f": None, "y": None}


@pytest.mark.parametrize(
    ("op", "more", "inputs", "want"),
    [
        ("BiasGelu", {}, [("x", [2, 8]), ("b", [8])], (2, 8)),
        ("FusedMatMul", {"transB": 1}, [("x", [2, 8]), ("w", [5, 8])], (2, 5)),
        ("FusedMatMul", {"transA": 1}, [("x", [8, 2]), ("w", [8, 5])], (2, 5)),
        ("FusedGemm", {"activation": "Relu"}, [("x", [2, 8]), ("w", [8, 5])], (2, 5)),
        ("FusedConv", {"activation": "Relu"}, [("x", [1, 3, 8, 8]), ("w", [4, 3, 3, 3])], None),
    ],
)
def test_onnx_runtimes_fused_operators_are_known(op, more, inputs, want):
    model = graphs.one(op, inputs, [("y", None)], domain="com.microsoft", **more)
    assert dims(model)["y"] == (want or (1, 4, 6, 6))


def test_what_nobody_knows_gives_what_the_file_declares():
    model = graphs.made(
        [node("Own", ["x"], ["h"], domain="acme"), node("Relu", ["h"], ["y"])],
        [("x", 1, [2, 8])],
        [("y", 1, None)],
        domains=[("acme", 1)],
    )
    assert dims(model) == {"h": None, "y": None}
    model.graph.value_info.append(graphs.value("h", 1, [2, 4]))
    assert dims(model) == {"h": (2, 4), "y": (2, 4)}


def test_random_values_are_no_shape():
    shape = [node("RandomUniform", [], ["r"], shape=[2]), node("Cast", ["r"], ["i"], to=7)]
    nodes = [*shape, node("Reshape", ["x", "i"], ["y"])]
    assert dims(graphs.made(nodes, [("x", 1, [8])], [("y", 1, None)]))["y"] is None
