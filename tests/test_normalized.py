"""Layer normalizations of half floats that some releases cannot fuse."""

import onnx
import pytest
from graphs import constant, made, node
from onnx import TensorProto as T

from tritonforge.placement import place_model
from tritonforge.release import find

_HALF = "float16"


def _model(*, plain=0, centred=0, alone=0, opset=14, exponents=(2.0,)):
    """Write normalizations without and with a mean, and other powers."""
    nodes, weights, inputs, outputs = [], [constant("g", [1.0] * 32, _HALF)], [], []
    for index in range(plain + centred + alone):
        x, power = f"x{index}", f"two{index}"
        weights.append(constant(power, exponents[index % len(exponents)], _HALF))
        inputs.append((x, T.FLOAT16, [2, 32]))
        if index < centred:
            nodes += [node("ReduceMean", [x], [f"m{x}"], axes=[-1])]
            nodes += [node("Sub", [x, f"m{x}"], [f"s{x}"])]
            x = f"s{x}"
        nodes.append(node("Pow", [x, power], [f"p{x}"]))
        outputs.append(f"p{x}")
        if index < plain + centred:
            weights.append(constant(f"e{x}", 0.001, _HALF))
            nodes += [
                node("ReduceMean", [f"p{x}"], [f"r{x}"], axes=[-1]),
                node("Add", [f"r{x}", f"e{x}"], [f"a{x}"]),
                node("Sqrt", [f"a{x}"], [f"q{x}"]),
                node("Div", [x, f"q{x}"], [f"d{x}"]),
                node("Mul", [f"d{x}", "g"], [f"y{x}"]),
            ]
            outputs[-1] = f"y{x}"
        if index < centred:
            weights.append(constant(f"b{x}", [0.0] * 32, _HALF))
            nodes.append(node("Add", [f"y{x}", f"b{x}"], [f"z{x}"]))
            outputs[-1] = f"z{x}"
    given = [(name, T.FLOAT16, [2, 32]) for name in outputs]
    return made(nodes, inputs, given, weights, opset=opset)


_FAILS = [
    {"centred": 2},
    {"centred": 1, "alone": 1},
    {"plain": 1, "alone": 1},
    {"plain": 1, "alone": 1, "opset": 17},
]
_LOADS = [
    {"plain": 2},
    {"plain": 2, "alone": 1},
    {"centred": 1},
    {"alone": 2},
    {"centred": 2, "opset": 17},
    {"centred": 2, "exponents": (2.0, 3.0)},
]


@pytest.mark.parametrize("parts", [*_FAILS, *_LOADS], ids=str)
def test_those_between_1_23_and_1_27_are_told(parts):
    releases = [find(f"ort:{runtime}") for runtime in ("1.22.0", "1.23.2", "1.27.0", "1.28.0")]
    told = [found.refusal for found in place_model(_model(**parts), releases, "cpu")]
    fails = parts in _FAILS
    assert [each is not None for each in told] == [False, fails, fails, False]
    on_gpu = [found.refusal for found in place_model(_model(**parts), releases, "cuda")]
    assert on_gpu == [None] * 4


def test_another_exponent_is_no_matter():
    model = _model(centred=2)
    onnx.checker.check_model(model)
    model.graph.initializer[1].CopyFrom(constant("two0", 2.0, "float32"))
    (found,) = place_model(model, [find("ort:1.23.2")], "cpu")
    assert found.refusal is None
