"""Nodes with the types of their values."""

import graphs
import pytest
from graphs import node
from onnx import TensorProto, TypeProto, helper

from tritonforge.graph import typed
from tritonforge.graph.typed import UnsoundError


def nodes(model):
    """Infer a model's types and return its nodes."""
    found = typed.inferred(model)
    return list(typed.nodes(found.graph, typed.opsets(found.opset_import)))


def test_nodes_have_types_by_parameter_and_by_name():
    nodes_ = [node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16), node("Relu", ["h"], ["y"])]
    cast, relu = nodes(graphs.made(nodes_, graphs.ROW[0], [("y", 10, ["n", 8])]))
    assert cast.types == {"T1": "float", "input": "float", "T2": "float16", "output": "float16"}
    assert relu.types["T"] == "float16"
    assert (relu.op, relu.since, relu.opset, relu.domain) == ("Relu", 14, 17, "ai.onnx")
    assert relu.name == "Relu_1"


def test_nodes_of_subgraphs_follow_the_one_that_holds_them():
    found = nodes(graphs.branching())
    told = [(each.op, each.path, each.branches) for each in found]
    assert told == [
        ("ReduceMax", (), ()),
        ("Greater", (), ()),
        ("If", (), ()),
        ("Relu", ("choice",), ("else_branch",)),
        ("MatMul", ("choice",), ("then_branch",)),
        ("Loop", (), ()),
        ("Add", ("steps",), ("body",)),
        ("Identity", ("steps",), ("body",)),
    ]
    assert found[4].types["T"] == "float"  # of a value around it


def test_functions_are_put_in():
    body = [node("Relu", ["a"], ["b"]), node("Neg", ["b"], ["c"])]
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("acme", "Twin", ["a"], ["c"], body, opsets)
    model = graphs.made(
        [node("Twin", ["x"], ["y"], domain="acme")],
        *graphs.ROW,
        domains=[("acme", 1)],
        functions=[function],
    )
    assert [each.op for each in nodes(model)] == ["Relu", "Neg"]


def test_an_operator_that_nobody_knows_has_no_schema():
    (found,) = nodes(graphs.one("Own", [("x", [2])], [("y", [2])], domain="acme"))
    assert (found.schema, found.since, found.domain) == (None, 1, "acme")


def test_a_model_that_contradicts_itself_is_unsound():
    model = graphs.one("MatMul", [("x", [2, 3])], [("y", [2, 8])], [graphs.weight("W", 8, 8)])
    with pytest.raises(UnsoundError, match="MatMul"):
        typed.inferred(model)


def test_a_node_without_an_input_that_it_needs_is_unsound():
    model = graphs.made([node("EyeLike", [""], ["y"], dtype=1)], [], [("y", 1, None)])
    with pytest.raises(UnsoundError, match="EyeLike at opset 17 needs its input input"):
        typed.inferred(model)


def test_a_matrix_of_ones_is_of_two_dimensions():
    model = graphs.one("EyeLike", [("x", [2, 3, 4])], [("y", None)])
    with pytest.raises(UnsoundError, match="2-dimensional"):
        typed.inferred(model)


def test_an_einsum_of_no_letters_is_unsound():
    model = graphs.one("Einsum", [("x", [3, 3])], [("y", [3])], equation=b"i\xff->i")
    with pytest.raises(UnsoundError, match="Einsum is not ASCII"):
        typed.inferred(model)


def test_sizes_below_zero_are_dynamic_as_onnx_runtime_has_them():
    inputs = [("x", TensorProto.FLOAT, [2, 2]), ("i", TensorProto.INT64, [-100])]
    model = graphs.made([node("GatherND", ["x", "i"], ["y"])], inputs, [("y", 1, None)])
    (dim,) = typed.inferred(model).graph.input[1].type.tensor_type.shape.dim
    assert not dim.HasField("dim_value")
    assert model.graph.input[1].type.tensor_type.shape.dim[0].dim_value == -100


def test_a_constant_that_gives_nothing_is_unsound():
    model = graphs.made([node("Constant", [], [], value_int=1)], [], [])
    with pytest.raises(UnsoundError, match="Constant"):
        typed.inferred(model)


def test_values_of_large_weights_are_left_out_of_a_copy():
    weights = [graphs.weight("W", 8, 200), graphs.weight("V", 8, 8)]
    model = graphs.one("Sum", [("x", [8, 8])], [("y", [8, 8])], weights)
    large, small = typed.light(model).graph.initializer
    assert (list(large.dims), large.raw_data) == ([8, 200], b"")
    assert small == weights[1]
    assert model.graph.initializer[0].raw_data


def test_types_are_written_as_kernels_are_registered():
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(11, None))
    assert typed.type_of(sequence) == "seq(tensor(double))"
    assert typed.type_of(helper.make_optional_type_proto(sequence)) == (
        "optional(seq(tensor(double)))"
    )
    tensor = helper.make_tensor_type_proto(1, None)
    assert typed.type_of(helper.make_map_type_proto(7, tensor)) == "map(int64,tensor(float))"
    assert typed.type_of(TypeProto()) is None
    assert typed.element(99) == "type 99"
