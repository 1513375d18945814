"""A graph as a tree."""

import graphs
import onnx
import pytest
from graphs import constant, node, weight
from onnx import helper

from tritonforge import graph
from tritonforge.errors import GraphError


@pytest.fixture
def outlined(tmp_path):
    """Return a function that writes a model and outlines it."""

    def write(model, **sizes):
        onnx.save(model, tmp_path / "m.onnx")
        return graph.outline(tmp_path / "m.onnx", sizes)

    return write


def drawn(part, depth=0):
    """Write an outline as indented lines."""
    lines = [" " * depth + part.label + (f" x{part.times}" if part.times > 1 else "")]
    return lines + [line for each in part.parts for line in drawn(each, depth + 1)]


def layers(named, count=12):
    """Make a model of equal layers, each of a product, a bias and a Relu."""
    nodes, weights, at = [], [], "x"
    for index in range(count):
        weights += [weight(f"W{index}", 8, 8), weight(f"b{index}", 8)]
        nodes += [
            node("MatMul", [at, f"W{index}"], [f"m{index}"], name=named(index, "dense/MatMul")),
            node("Add", [f"m{index}", f"b{index}"], [f"a{index}"], name=named(index, "dense/Add")),
            node("Relu", [f"a{index}"], [f"r{index}"], name=named(index, "act/Relu")),
        ]
        at = f"r{index}"
    nodes.append(node("Identity", [at], ["y"]))
    return graphs.made(nodes, *graphs.ROW, weights)


def test_equal_layers_are_told_once(outlined):
    found = outlined(layers(lambda index, rest: f"/encoder/layer.{index}/{rest}"))
    assert drawn(found) == [
        "m.onnx",
        " encoder",
        "  layer.0 … layer.11 x12",
        "   dense",
        "    MatMul",
        "    Add",
        "   act/Relu",
        " Identity",
    ]
    encoder = found.parts[0]
    assert (encoder.nodes, encoder.gives) == (36, "float 1x8")
    assert encoder.bytes == found.bytes == 12 * (64 + 8) * 4
    assert encoder.flops == found.flops == 12 * (128 + 8 + 8)
    (layer,) = encoder.parts
    assert layer.nodes == sum(each.nodes for each in layer.parts) == 36


def test_so_are_runs_without_scopes(outlined):
    found = outlined(layers(lambda index, rest: f"{rest.split('/')[1]}_{index}"))
    assert drawn(found) == ["m.onnx", " 3 in a row x12", "  MatMul", "  Add", "  Relu", " Identity"]


def test_layers_that_differ_stand_apart(outlined):
    model = layers(lambda index, rest: f"/layer.{index}/{rest}", 5)
    model.graph.node[2 * 3 + 2].op_type = "Tanh"
    model.graph.node[2 * 3 + 2].name = "/layer.2/act/Tanh"
    labels = [(each.label, each.times) for each in outlined(model).parts]
    assert labels[:3] == [("layer.0 … layer.1", 2), ("layer.2", 1), ("layer.3 … layer.4", 2)]


def test_torchs_own_scopes_go_before_names(outlined):
    model = layers(lambda index, rest: f"node_{index}_{rest.rsplit('/', 1)[-1]}", 2)
    for index, each in enumerate(model.graph.node[:6]):
        scopes = ["", "encoder", f"encoder.{index // 3}", f"node_{index}"]
        each.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=str(scopes))
    assert drawn(outlined(model))[:4] == ["m.onnx", " encoder", "  0 … 1 x2", "   MatMul"]
    model.graph.node[0].metadata_props[0].value = "__import__('os')"
    assert outlined(model).nodes == 7


def test_what_computes_shapes_is_put_together(outlined):
    found = outlined(graphs.heads(), n=3)
    lines = [(each.label, each.nodes, each.gives) for each in found.parts]
    assert lines == [
        ("constants, shapes", 4, ""),
        ("Reshape", 1, "float 3x2x4"),
        ("MatMul", 1, "float 3x2x4"),
    ]
    assert found.nodes == 6


def test_weights_are_counted_once_where_they_are_used(outlined):
    nodes = [
        node("Constant", [], ["c"], value=weight("c", 8, 8)),
        node("Transpose", ["c"], ["ct"]),
        node("MatMul", ["x", "ct"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("MatMul", ["r", "W"], ["i"]),
        node("Tanh", ["i"], ["t"]),
        node("MatMul", ["t", "W"], ["y"]),
    ]
    found = outlined(graphs.made(nodes, *graphs.ROW, [weight("W", 8, 8)]))
    assert [each.bytes for each in found.parts] == [0, 256, 0, 256, 0, 0]
    assert found.bytes == 512


def test_subgraphs_lie_in_their_node(outlined):
    found = outlined(graphs.branching(), n=8)
    assert drawn(found)[1:] == [
        " ReduceMax",
        " Greater",
        " If choice",
        "  else_branch/Relu",
        "  then_branch/MatMul product",
        " Loop steps",
        "  body",
        "   Add",
        "   Identity",
    ]
    choice = found.parts[2]
    assert (choice.op, choice.nodes, choice.bytes) == ("If", 3, 256)
    assert choice.gives == "float 8x8"


def test_names_and_domains_of_operators_are_told(outlined):
    nodes = [
        node("Own", ["x"], ["a"], domain="acme", name="first"),
        node("Relu", ["a"], ["b"], name="Relu_7"),
        node("Relu", ["b"], ["y"], name="/last"),
    ]
    found = outlined(graphs.made(nodes, *graphs.ROW, domains=[("acme", 1)]))
    lines = [(each.label, each.domain, each.uncounted) for each in found.parts]
    assert lines[0] == ("Own first", "acme", 1)
    assert lines[1] == ("Relu", "ai.onnx", 1)
    assert found.parts[2].label == "Relu last"
    assert found.uncounted == 2


def test_values_that_are_no_tensors_have_a_type(outlined):
    nodes = [node("SequenceConstruct", ["x", "x"], ["s"]), node("SequenceAt", ["s", "i"], ["y"])]
    found = outlined(graphs.made(nodes, *graphs.ROW, [constant("i", 0)]))
    assert found.parts[0].gives == "seq(tensor(float))"


def test_five_thousand_nodes_take_no_time(outlined):
    ops = ["Relu", "Sigmoid", "Tanh", "Exp", "Abs"]
    names = [f"v{index}" for index in range(5000)]
    nodes = [
        node(ops[index * index * index % 97 % 5], [one], [after])
        for index, (one, after) in enumerate(zip(["x", *names], [*names, "y"], strict=True))
    ]
    found = outlined(graphs.made(nodes, *graphs.ROW))
    assert found.nodes == 5001
    assert len(found.parts) < 120


def test_a_graph_without_nodes(outlined):
    value = ("x", 1, [1])
    empty = graphs.made([], [value], [value])
    with pytest.raises(GraphError, match="has no nodes"):
        outlined(empty)


def test_names_that_come_twice_do_no_harm(outlined):
    branches = helper.make_graph(
        [node("Relu", ["x"], ["t"])], "b", [], [graphs.value("t", 1, None)]
    )
    more = {"then_branch": branches, "else_branch": branches}
    nodes = [
        node("If", ["is"], ["a"], name="same", **more),
        node("If", ["is"], ["b"], name="same", **more),
        node("Add", ["a", "b"], ["y"], name="same"),
    ]
    found = outlined(graphs.made(nodes, *graphs.ROW, [constant("is", True, bool)]))
    assert found.nodes == 7
    assert found.parts[0].times == 2
