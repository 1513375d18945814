"""Graphs of any kind, sound or not, that tests look into; nothing here is run."""

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

node = helper.make_node
ROW = [("x", T.FLOAT, ["n", 8])], [("y", T.FLOAT, ["n", 8])]


def value(name, dtype, dims):
    """Describe a value; `dims` None states no shape."""
    return helper.make_tensor_value_info(name, dtype, dims)


def weight(name, *dims, dtype=np.float32):
    """Make a weight of ones."""
    return numpy_helper.from_array(np.ones(dims, dtype), name)


def constant(name, values, dtype=np.int64):
    """Make a weight of these values."""
    return numpy_helper.from_array(np.array(values, dtype), name)


def made(nodes, inputs, outputs, weights=(), *, domains=(), functions=(), opset=17):
    """Make a model; tensors are `(name, type, dims)`, domains `(name, version)`."""
    return helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [value(*each) for each in inputs],
            [value(*each) for each in outputs],
            list(weights),
        ),
        opset_imports=[helper.make_opsetid(*each) for each in (("", opset), *domains)],
        functions=functions,
        ir_version=8,
    )


def saved(path, *arguments, **more):
    """Write a model and return its path."""
    onnx.save(made(*arguments, **more), path)
    return path


def one(op, inputs, outputs, weights=(), *, domain="", **attributes):
    """Make a model of one node; inputs and outputs are `(name, dims)` of floats."""
    names = [name for name, _ in inputs] + [each.name for each in weights]
    return made(
        [node(op, names, [name for name, _ in outputs], domain=domain, **attributes)],
        [(name, T.FLOAT, dims) for name, dims in inputs],
        [(name, T.FLOAT, dims) for name, dims in outputs],
        weights,
        domains=[(domain, 1)] if domain else [],
    )


def branching():
    """Make a model of an If, whose branches use a weight around it, and a Loop behind it."""
    then = helper.make_graph(
        [node("MatMul", ["x", "W"], ["t"], name="product")], "then", [], [value("t", 1, None)]
    )
    other = helper.make_graph([node("Relu", ["x"], ["e"])], "else", [], [value("e", 1, None)])
    body = helper.make_graph(
        [node("Add", ["s", "W"], ["s2"]), node("Identity", ["c"], ["c2"])],
        "body",
        [value("i", T.INT64, []), value("c", T.BOOL, []), value("s", T.FLOAT, ["n", 8])],
        [value("c2", T.BOOL, []), value("s2", T.FLOAT, ["n", 8])],
    )
    nodes = [
        node("ReduceMax", ["x"], ["most"], keepdims=0),
        node("Greater", ["most", "zero"], ["is"]),
        node("If", ["is"], ["y0"], name="choice", then_branch=then, else_branch=other),
        node("Loop", ["times", "", "y0"], ["y"], name="steps", body=body),
    ]
    weights = [weight("W", 8, 8), constant("zero", 0, np.float32), constant("times", 3)]
    return made(nodes, *ROW, weights)


def heads():
    """Make a model that parts its rows into heads by a shape it computes, as exporters write it."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "first"], ["rows"]),
        node("Unsqueeze", ["rows", "axis"], ["rows1"]),
        node("Concat", ["rows1", "rest"], ["wanted"], axis=0),
        node("Reshape", ["x", "wanted"], ["parts"]),
        node("MatMul", ["parts", "W"], ["y"]),
    ]
    weights = [constant("first", 0), constant("axis", [0]), constant("rest", [2, 4])]
    outputs = [("y", T.FLOAT, ["n", 2, 4])]
    return made(nodes, ROW[0], outputs, [*weights, weight("W", 4, 4)])
