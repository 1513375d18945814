"""Weights of more or fewer values than their shapes take, against ONNX Runtime itself."""

import corpus
import numpy as np
import onnx
import onnxfiles as of
import pytest
from onnx import TensorProto as T
from onnx import helper
from onnxfiles import node
from test_sound import ZERO, X, Y, loads

from tritonforge.graph import lean, unsound


def weighed(op="Add", **more):
    """Write a model with a weight of four numbers, of which this is said."""
    weight = T(name="w", **{"data_type": T.FLOAT, "dims": [4], **more})
    if op == "Constant":
        given = node(op, [], ["w"], value=weight)
        return of.file([given, node("Add", ["x", "w"], ["y"])], X, Y)
    if op == "DequantizeLinear":
        nodes = [node(op, ["w", "zero"], ["d"]), node("Add", ["x", "d"], ["y"])]
        return of.file(nodes, X, Y, [weight, ZERO], opset=21, ir=10)
    if op == "Identity":
        return of.file([node(op, ["w"], ["y"])], X, "y STRING 4", [weight])
    return of.file([node(op, ["x", "w"] if op == "Add" else ["x"], ["y"])], X, Y, [weight])


FITTING = {
    "raw": weighed(raw_data=bytes(16)),
    "numbers": weighed(float_data=[0] * 4),
    "numbers beside raw ones": weighed(raw_data=bytes(16), float_data=[0]),
    "constant": weighed("Constant", raw_data=bytes(16)),
    "none, unread": weighed("Relu"),
    "many": weighed(dims=[1000, 1, 4], raw_data=bytes(16000)),
    "many numbers": weighed(dims=[1000, 1, 4], float_data=[0] * 4000),
    "texts": weighed("Identity", data_type=T.STRING, string_data=[b"a"] * 4),
    "half bytes": weighed("DequantizeLinear", dims=[1], data_type=T.INT4, raw_data=b"0"),
    "half bytes as numbers": weighed(
        "DequantizeLinear", dims=[3, 1], data_type=T.INT4, int32_data=[0] * 2
    ),
}
MISFITS = {
    "none": weighed(),
    "raw of none": weighed(raw_data=b"", float_data=[0] * 4),
    "raw too few": weighed(raw_data=bytes(15)),
    "raw too many": weighed(raw_data=bytes(20)),
    "raw where there should be none": weighed(dims=[0], raw_data=bytes(4)),
    "numbers too few": weighed(float_data=[0] * 3),
    "numbers too many": weighed(float_data=[0] * 5),
    "numbers in another field": weighed(double_data=[0] * 4),
    "constant": weighed("Constant"),
    "many of none": weighed(dims=[1000, 1, 4]),
    "many too few": weighed(dims=[1000, 1, 4], raw_data=bytes(15996)),
    "many too many": weighed(dims=[1000, 1, 4], raw_data=bytes(16004)),
    "half bytes": weighed("DequantizeLinear", dims=[3, 1], data_type=T.INT4, raw_data=bytes(3)),
    "half bytes as numbers": weighed(
        "DequantizeLinear", dims=[3, 1], data_type=T.INT4, int32_data=[0] * 3
    ),
    "texts": weighed("Identity", data_type=T.STRING, string_data=[b"a"] * 3),
    "beyond 64 bits": weighed(dims=[2**62] * 255, raw_data=bytes(16)),
    "below 0": weighed(dims=[-2, -2], raw_data=bytes(16)),
}


@pytest.mark.parametrize("name", FITTING)
def test_weights_that_onnx_runtime_takes(name, tmp_path):
    assert loads(FITTING[name])
    assert of_a_file(tmp_path, FITTING[name]) is None


@pytest.mark.parametrize("name", MISFITS)
def test_weights_that_onnx_runtime_does_not(name, tmp_path):
    assert not loads(MISFITS[name])
    assert of_a_file(tmp_path, MISFITS[name]).startswith("the shape of its tensor 'w' ")


def test_the_weight_and_its_sizes_are_told(tmp_path):
    told = {
        name: of_a_file(tmp_path, MISFITS[name]) for name in ("none", "many too few", "below 0")
    }
    assert told == {
        "none": "the shape of its tensor 'w' takes 4 values, but it has 0",
        "many too few": "the shape of its tensor 'w' takes 16000 bytes, but it has 15996",
        "below 0": "the shape of its tensor 'w' has a dimension below 0",
    }


def test_what_a_function_of_the_model_is_given_is_not_looked_at():
    body = helper.make_function(
        "own", "F", ["x", "w"], ["y"], [node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    call = node("F", ["x", "w"], ["y"], domain="own")
    weight = T(name="w", data_type=T.FLOAT, dims=[4])
    made = of.file([call], X, Y, [weight], functions=[body], domains=[("own", 1)])
    assert unsound(onnx.load_from_string(made)) is None  # ONNX Runtime 1.19 takes it, 1.31 does not


def of_a_file(folder, content):
    """Say what is wrong with a file that is read without its weights."""
    path = folder / "model.onnx"
    path.write_bytes(content)
    return unsound(lean.read(path))


@pytest.mark.parametrize("step", [40, pytest.param(1, marks=pytest.mark.slow)])
def test_no_operator_runs_without_a_weight_that_is_told(step):
    told = 0
    for each in corpus.models()[::step]:
        assert unsound(each.model) is None
        for value in each.model.graph.input:
            stripped = without(each, value)
            if stripped is not None and unsound(stripped) is not None:
                assert not loads(stripped.SerializeToString()), each.name
                told += 1
    assert told >= 3000 // step


def without(node_model, value):
    """Make a weight without its values of an input of a node model; None of one of no numbers."""
    given = np.asarray(node_model.inputs.get(value.name, []), dtype=object)
    if not value.type.HasField("tensor_type") or not given.size:
        return None
    model = onnx.ModelProto()
    model.CopyFrom(node_model.model)
    model.graph.input.remove(value)
    kind = value.type.tensor_type.elem_type
    model.graph.initializer.add(name=value.name, data_type=kind, dims=given.shape)
    return model
