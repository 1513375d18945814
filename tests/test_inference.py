"""Types past operators of which ONNX infers nothing."""

import onnx
import pytest
from graphs import constant, made, node
from onnx import TensorProto as T
from onnx import helper

from tritonforge import graph
from tritonforge.graph.typed import resolved
from tritonforge.placement import place_model
from tritonforge.release import find

_ML = [("ai.onnx.ml", 4)]


def _types(nodes, weights=(), domains=(), given=T.FLOAT, opset=17):
    """Return the type of each value that a model makes."""
    outputs = [("y", T.FLOAT, None)]
    inputs = [("x", given, ["n", 4])]
    model = made(nodes, inputs, outputs, weights, domains=domains, opset=opset)
    del model.graph.output[:]
    model.graph.output.add(name="y")
    return {
        name: each.scope[name].tensor_type.elem_type
        for each in resolved(model).nodes
        for name in each.proto.output
        if name in each.scope
    }


@pytest.mark.parametrize("op", ["Scaler", "Normalizer", "LinearRegressor", "FeatureVectorizer"])
def test_tables_give_floats(op):
    nodes = [node(op, ["x"], ["a"], domain="ai.onnx.ml"), node("Relu", ["a"], ["y"])]
    assert _types(nodes, domains=_ML, given=T.INT64) == {"a": T.FLOAT, "y": T.FLOAT}


@pytest.mark.parametrize(
    ("attribute", "kind"),
    [({"values_floats": [1.0]}, T.FLOAT), ({"values_strings": ["a"]}, T.STRING)],
)
def test_a_label_encoder_behind_what_nobody_knows_does_not_crash(attribute, kind, tmp_path):
    nodes = [
        node("Mine", ["x"], ["a"], domain="acme"),
        node("LabelEncoder", ["a"], ["y"], domain="ai.onnx.ml", keys_int64s=[1], **attribute),
    ]
    domains = [*_ML, ("acme", 1)]
    assert _types(nodes, domains=domains)["y"] == kind
    model = made(nodes, [("x", T.FLOAT, ["n", 4])], [("y", kind, None)], domains=domains)
    onnx.save(model, tmp_path / "model.onnx")
    assert graph.inspect(tmp_path / "model.onnx").operators


@pytest.mark.parametrize(
    ("op", "attributes", "kind"),
    [
        ("EyeLike", {"dtype": T.INT32}, T.INT32),
        ("EyeLike", {}, 0),
        ("RegexFullMatch", {"pattern": "a"}, T.BOOL),
    ],
)
def test_others_behind_what_nobody_knows_do_not_either(op, attributes, kind):
    nodes = [node("Mine", ["x"], ["a"], domain="acme"), node(op, ["a"], ["y"], **attributes)]
    assert _types(nodes, domains=[("acme", 1)], opset=20).get("y", 0) == kind


def test_types_go_past_onnx_runtimes_own_operators():
    quantized = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearAdd", ["q", "s", "z", "q", "s", "z", "s", "z"], ["a"], domain="com.microsoft"),
        node("Resize", ["a", "", "", "sizes"], ["r"], mode="nearest"),
        node("DequantizeLinear", ["r", "s", "z"], ["y"]),
    ]
    weights = [
        constant("s", 0.1, "float32"),
        constant("z", 0, "int8"),
        constant("sizes", [8, 8]),
    ]
    domains = [("com.microsoft", 1)]
    assert _types(quantized, weights, domains)["r"] == T.INT8
    model = made(
        quantized, [("x", T.FLOAT, [4, 4])], [("y", T.FLOAT, [8, 8])], weights, domains=domains
    )
    (found,) = place_model(model, [find("ort:1.22.0")], "cuda")
    assert {each.op: each.provider for each in found.nodes}["Resize"] == "cpu"


def test_functions_of_another_opset_are_put_in():
    body = helper.make_function(
        "my", "F", ["a"], ["b"], [node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 13)]
    )
    model = made(
        [node("F", ["x"], ["y"], domain="my")],
        [("x", T.FLOAT, [2])],
        [("y", T.FLOAT, [2])],
        domains=[("my", 1)],
        functions=[body],
    )
    assert [each.op for each in resolved(model).nodes] == ["Relu"]
    body.opset_import[0].version = 26
    model.functions[0].CopyFrom(body)
    (found,) = place_model(model, [find("ort:1.19.2")], "cpu")
    assert found.refusal == "opset 26 of ai.onnx, which it takes up to 21"
