"""What ONNX Runtime refuses of a graph at first sight, against ONNX Runtime itself."""

import onnx
import onnxfiles as of
import onnxruntime
import pytest
from onnx import TensorProto as T
from onnx import helper
from onnxfiles import node

from tritonforge.graph import unsound

X, Y = "x FP32 n,4", "y FP32 n,4"
ZERO = helper.make_tensor("zero", T.FLOAT, [], [0.0])
WEIGHT = helper.make_tensor("w", T.FLOAT, [1], [1.0])
CHOICE = [
    node("ReduceSum", ["x"], ["sum"], keepdims=0),
    node("Greater", ["sum", "zero"], ["positive"]),
]


def plain(*nodes, inputs=X, outputs=Y, initializers=()):
    return of.file(nodes, inputs, outputs, initializers)


def graph(nodes, output, name):
    value = helper.make_tensor_value_info(output, T.FLOAT, None)
    return helper.make_graph(nodes, name, [], [value])


def branch(*nodes, output="t", before=CHOICE, after=(), result="y"):
    """Write a model that takes one of two branches, of which the first has these nodes."""
    then = graph(nodes, output, "then")
    other = graph([node("Neg", ["x"], ["e"], name="one")], "e", "else")
    chosen = node("If", ["positive"], [result], then_branch=then, else_branch=other)
    return plain(*before, chosen, *after, initializers=[ZERO])


def typeless(made, how="missing"):
    """Take the type from the attributes of a node."""
    for each in made.attribute:
        each.ClearField("type")
        each.MergeFromString(
            {"missing": b"", "none": b"\xa0\x01\x00", "unknown": b"\xa0\x01\x63"}[how]
        )
    return made


LEAKY = node("LeakyRelu", ["x"], ["y"], alpha=0.5)


def called(made, domain="own", op="F"):
    """Write a model that calls a function of one node."""
    opsets = [helper.make_opsetid("", of.OPSET)]
    body = helper.make_function(domain, op, ["x"], ["y"], [made], opsets, ["slope"])
    call = node(op, ["x"], ["y"], domain=domain, **({"slope": 0.5} if domain == "own" else {}))
    return of.file([call], X, Y, functions=[body], domains=[(domain, 1)])


def referring():
    """Make a node whose attribute a function is to put in."""
    made = node("LeakyRelu", ["x"], ["y"])
    made.attribute.add(name="alpha", ref_attr_name="slope")
    return made


SOUND = {
    "plain": plain(node("Relu", ["x"], ["y"])),
    "unsorted": plain(node("Neg", ["t"], ["y"]), node("Relu", ["x"], ["t"])),
    "weight twice": plain(node("Add", ["x", "w"], ["y"]), initializers=[WEIGHT, WEIGHT]),
    "weight that is an input": of.optional("n,4"),
    "output that is an input": plain(node("Relu", ["x"], ["y"]), outputs=f"{Y}; {X}"),
    "optional input left out": plain(node("Clip", ["x", "", ""], ["y"])),
    "optional output left out": plain(
        node("Relu", ["x"], ["y"]), node("Dropout", ["x"], ["d", ""])
    ),
    "branch": branch(node("Neg", ["x"], ["t"])),
    "branches with the same names": branch(node("Neg", ["x"], ["e"], name="one"), output="e"),
    "branch before what it reads": branch(
        node("Neg", ["late"], ["t"]), before=(), after=[node("Relu", ["x"], ["late"]), *CHOICE]
    ),
    "branch with a name of what follows": branch(
        node("Neg", ["x"], ["y"]),
        node("Relu", ["y"], ["t"]),
        result="u",
        after=[node("Relu", ["u"], ["y"])],
    ),
    "loop": of.branching(),
    "function": of.function(),
    "attribute of a function": called(referring()),
    "function that ONNX Runtime has": called(
        typeless(LEAKY), domain="com.microsoft", op="QuickGelu"
    ),
}
FAULTY = {
    "input from nowhere": plain(node("Add", ["x", "z"], ["y"])),
    "output from nowhere": plain(node("Relu", ["x"], ["z"])),
    "two of a name": plain(node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])),
    "two inputs of a name": plain(node("Relu", ["x"], ["y"]), inputs=f"{X}; {X}"),
    "an input made": plain(node("Relu", ["x"], ["x"]), node("Neg", ["x"], ["y"])),
    "a weight made": plain(
        node("Relu", ["x"], ["w"]), node("Neg", ["w"], ["y"]), initializers=[WEIGHT]
    ),
    "two nodes of a name": plain(
        node("Relu", ["x"], ["t"], name="a"), node("Neg", ["t"], ["y"], name="a")
    ),
    "circle": plain(node("Add", ["x", "t"], ["y"]), node("Relu", ["y"], ["t"])),
    "branch from nowhere": branch(node("Neg", ["nowhere"], ["t"])),
    "branch to nowhere": branch(node("Neg", ["x"], ["u"])),
    "branch that gives what is around": branch(output="x"),
    "branch that makes an input": branch(node("Neg", ["sum"], ["x"]), node("Relu", ["x"], ["t"])),
    "branch that makes what is made": branch(
        node("Neg", ["x"], ["sum"]), node("Relu", ["sum"], ["t"])
    ),
    "branch unsorted": branch(node("Neg", ["w"], ["t"]), node("Relu", ["x"], ["w"])),
    "attribute without a type": plain(typeless(LEAKY)),
    "attribute of no type": plain(typeless(LEAKY, "none")),
    "attribute of an unknown type": plain(typeless(LEAKY, "unknown")),
    "attribute without a type in a branch": branch(
        typeless(node("LeakyRelu", ["x"], ["t"], alpha=0.5))
    ),
    "attribute without a type in a function": called(typeless(LEAKY)),
}


def loads(file):
    """Say whether ONNX Runtime opens a file."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - ONNX Runtime has no base for its errors
        return False
    return True


@pytest.mark.parametrize("name", SOUND)
def test_graphs_that_onnx_runtime_takes(name):
    assert loads(SOUND[name])
    assert unsound(onnx.load_from_string(SOUND[name])) is None


@pytest.mark.parametrize("name", FAULTY)
def test_graphs_that_onnx_runtime_does_not(name):
    assert not loads(FAULTY[name])
    assert unsound(onnx.load_from_string(FAULTY[name])) is not None


def test_an_attribute_without_a_type_is_named():
    said = "node '' (LeakyRelu) has an attribute 'alpha' of no known type"
    assert unsound(onnx.load_from_string(FAULTY["attribute without a type"])) == said


def test_a_name_that_is_no_text_is_told():
    damaged = SOUND["plain"].replace(b"Relu", b"R\xfflu")
    assert unsound(onnx.load_from_string(damaged)) == "a name is not UTF-8: b'R\\xfflu'"
