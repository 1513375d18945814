"""What the CUDA provider leaves, although it has a kernel."""

import graphs
import numpy as np
import pytest
from graphs import constant, made, node, weight
from onnx import TensorProto as T
from onnx import helper
from placements import placed, reasons

SEQUENCE = [("x", T.FLOAT, ["t", 1, 4])]
STATES = [("y", T.FLOAT, ["t", 1, 1, 3])]


def recurrent(op, gates, extra=(), **attributes):
    """Make a recurrent layer with 3 hidden values."""
    weights = [weight("W", 1, gates * 3, 4), weight("R", 1, gates * 3, 3), *extra]
    names = ["x", "W", "R", *(["", "", "", "", "P"] if extra else [])]
    return made([node(op, names, ["y"], hidden_size=3, **attributes)], SEQUENCE, STATES, weights)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (recurrent("LSTM", 4), None),
        (recurrent("LSTM", 4, clip=1.0), "LSTM with clip"),
        (recurrent("LSTM", 4, input_forget=1), "LSTM with input_forget"),
        (recurrent("LSTM", 4, [weight("P", 1, 9)]), "LSTM with peepholes"),
        (recurrent("LSTM", 4, activations=["Sigmoid", "Relu", "Tanh"]), "LSTM with activations"),
        (recurrent("GRU", 3), "GRU with linear_before_reset 0"),
        (recurrent("GRU", 3, linear_before_reset=1), None),
        (recurrent("RNN", 1, activations=["Relu"]), "RNN with activations relu"),
    ],
)
def test_attributes_that_cudnn_lacks_of_recurrent_layers(model, why):
    (text,) = reasons(model).values()
    assert text == "cuda" if why is None else f"no kernel for {why}" in text


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"pads": [1, 1, 1, 1]}, "cuda"),
        ({"pads": [0, 0, 1, 1]}, "no kernel for ConvTranspose with asymmetric pads"),
        ({"auto_pad": "SAME_UPPER"}, "no kernel for ConvTranspose with auto_pad SAME_UPPER"),
    ],
)
def test_paddings_of_a_transposed_convolution(attributes, why):
    inputs, outputs = [("x", T.FLOAT, [1, 2, 8, 8])], [("y", T.FLOAT, None)]
    node_ = node("ConvTranspose", ["x", "W"], ["y"], strides=[2, 2], **attributes)
    model = made([node_], inputs, outputs, [weight("W", 2, 3, 3, 3)])
    assert reasons(model) == {"ConvTranspose": why}


def test_the_last_index_and_text_are_the_cpus():
    last = node("ArgMax", ["x"], ["y"], axis=1, select_last_index=1)
    model = made([last], graphs.ROW[0], [("y", T.INT64, None)], opset=12)
    assert reasons(model, "26.08")["ArgMax"] == "no kernel for ArgMax with select_last_index"
    text = made([node("Cast", ["x"], ["y"], to=T.STRING)], graphs.ROW[0], [("y", T.STRING, None)])
    assert reasons(text)["Cast"] == "no kernel for Cast of float to string"


def test_a_shape_is_computed_on_the_host():
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Mul", ["shape", "two"], ["doubled"]),
        node("Expand", ["one", "doubled"], ["y"]),
    ]
    pair = [("x", T.FLOAT, ["n", "m"])], [("y", T.FLOAT, None)]
    found = placed(made(nodes, *pair, [constant("two", [2]), constant("one", [1.0], np.float32)]))
    assert [(each.op, each.reason.kind) for each in found.lost] == [("Mul", "shape")]
    assert found.counts == {"cuda": 2, "cpu": 1}
    assert found.prediction.copies == 0  # Shape writes there, Expand reads there


def test_what_reads_a_value_of_the_gpu_stays_on_it():
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("ReduceMax", ["a"], ["most"], keepdims=0),
        node("Add", ["most", "one"], ["more"]),
        node("Mul", ["x", "more"], ["y"]),
    ]
    found = placed(made(nodes, *graphs.ROW, [constant("one", 1, np.float32)]))
    assert found.lost == ()


def test_what_stands_beside_a_body_is_placed_before_it_is_put_in():
    """As the partitioner of 1.19.2 does: CastLike, without a kernel, gives what is on the host."""
    filled = node("ConstantOfShape", ["s"], ["c"], value=constant("v", [0.0], np.float32))
    nodes = [
        node("Shape", ["x"], ["s"]),
        filled,
        node("CastLike", ["x", "c"], ["k"]),
        node("Add", ["c", "k"], ["y"]),
    ]
    pair = [("x", T.FLOAT16, ["n", 4])], [("y", T.FLOAT, None)]
    found = placed(made(nodes, *pair, opset=20))
    assert [(each.op, each.provider) for each in found.nodes] == [
        ("Shape", "cuda"),
        ("ConstantOfShape", "cpu"),
        ("Cast", "cuda"),
        ("Add", "cpu"),
    ]


def test_a_loop_that_reads_the_host_inside_is_placed_there():
    """As the partitioner of 1.19.2 does, and what reads the loop's values with it."""
    body = helper.make_graph(
        [node("Add", ["xi", "size"], ["yi"])],
        "body",
        [graphs.value("xi", T.FLOAT, [4])],
        [graphs.value("yi", T.FLOAT, [4])],
    )
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["first"]),
        node("Cast", ["first"], ["size"], to=T.FLOAT),
        node("Scan", ["x"], ["scanned"], body=body, num_scan_inputs=1),
        node("Relu", ["scanned"], ["y"]),
    ]
    pair = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, None)]
    found = placed(made(nodes, *pair, [constant("zero", 0)], opset=19))
    assert {each.op for each in found.lost} == {"Gather", "Cast", "Scan", "Relu"}
