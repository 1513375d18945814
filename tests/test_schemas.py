"""What ONNX itself knows of operators."""

import graphs
import onnx
import pytest
from graphs import node

from tritonforge.graph import schemas
from tritonforge.graph.schemas import MAIN


@pytest.mark.parametrize(
    ("domain", "op", "opset", "since"),
    [
        (MAIN, "Relu", 12, 6),
        (MAIN, "Relu", 13, 13),
        ("ai.onnx.ml", "Normalizer", 3, 1),
        (MAIN, "GroupNormalization", 18, 18),  # deprecated in ONNX, and taken all the same
    ],
)
def test_a_schema_is_that_of_the_opset(domain, op, opset, since):
    assert schemas.schema(domain, op, opset).since_version == since


@pytest.mark.parametrize(
    ("domain", "op", "opset"),
    [
        (MAIN, "Gelu", 19),
        (MAIN, "Nope", 17),
        ("acme", "Relu", 1),
        (MAIN, "Upsample", 10),
        (MAIN, "Relu", 2**40),
    ],
    ids=["too new", "unknown", "of another domain", "given up", "beyond all"],
)
def test_what_an_opset_does_not_have(domain, op, opset):
    assert schemas.schema(domain, op, opset) is None


def test_an_operator_as_others_with_its_attributes_put_in():
    proto = node("HardSwish", ["x"], ["y"])
    found = schemas.body(proto, schemas.schema(MAIN, "HardSwish", 17), 17, {})
    assert {each.op_type for each in found.node} >= {"HardSigmoid", "Mul"}
    assert not [at for each in found.node for at in each.attribute if at.ref_attr_name]


def test_one_that_depends_on_its_types():
    types = {"x": onnx.helper.make_tensor_type_proto(1, [2, 8])}
    proto = node("Softmax", ["x"], ["y"], axis=1)
    found = schemas.body(proto, schemas.schema(MAIN, "Softmax", 17), 17, types)
    assert "ReduceMax" in {each.op_type for each in found.node}


def test_most_operators_are_no_others():
    assert schemas.body(node("Conv", [], []), schemas.schema(MAIN, "Conv", 17), 17, {}) is None


def test_graphs_in_a_node_have_names():
    nodes = graphs.branching().graph.node
    named = {each.op_type: dict(schemas.named_graphs_in(each)) for each in nodes}
    assert set(named["If"]) == {"then_branch", "else_branch"}
    assert set(named["Loop"]) == {"body"}
    assert not named["Greater"]
    assert [each.name for each in schemas.graphs_in(nodes[-1])] == ["body"]


def test_an_attribute_that_a_function_is_to_put_in_is_not_said():
    made = node("X", [], [], a=1)
    made.attribute.add(name="b", ref_attr_name="outer", type=onnx.AttributeProto.INT)
    assert schemas.attributes(made) == {"a": 1}


def test_attributes_by_name():
    assert schemas.attributes(node("X", [], [], a=1, b="t", c=[1, 2])) == {
        "a": 1,
        "b": b"t",
        "c": [1, 2],
    }
