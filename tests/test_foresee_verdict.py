"""The verdict is what real wheels say: of the installed ONNX Runtime, and of the server's own."""

import sys
from importlib.metadata import version
from pathlib import Path

import foreseen
import onnx
import ownnodes
import pytest
from onnx import TensorProto, helper

from tritonforge.release import RUNTIME, find

_STEP = 16  # of ONNX's node models
_RIGHT = 0.99


@pytest.fixture(scope="module")
def stamped(tmp_path_factory):
    """Write a share of ONNX's node models at every opset."""
    return foreseen.node_models(tmp_path_factory.mktemp("models") / "models.bin", step=_STEP)


@pytest.fixture(params=["installed", "embedded"])
def wheel(request):
    """Return an ONNX Runtime and the Python that has it."""
    if request.param == "installed":
        return version("onnxruntime"), Path(sys.executable)
    toolchain = request.getfixturevalue("embedded")
    return toolchain.onnxruntime, toolchain.root / "bin" / "python"


def test_node_models_at_every_opset_load_or_are_refused_as_foretold(stamped, wheel, tmp_path):
    runtime, python = wheel
    release = find(f"{RUNTIME}{runtime}")
    numbers = foreseen.wanted(stamped, release)

    said = foreseen.asked(python, [], stamped, numbers, tmp_path)
    (score,) = foreseen.scores(stamped, {release: said})

    loaded, refused = score.shares
    assert min(len(score.loaded), len(score.refused)) > 300
    assert not score.false_loads, score.wrong[:10]
    assert min(loaded, refused) >= _RIGHT, score.wrong[:10]
    assert any(stamped[number].opset > release.opset for number in numbers)
    assert any(stamped[number].ir > release.ir for number in numbers)


def test_own_operators_load_or_are_refused_as_foretold(wheel, tmp_path):
    runtime, python = wheel
    release = find(f"{RUNTIME}{runtime}")
    stamped = ownnodes.own_nodes(tmp_path / "models.bin", step=_STEP // 2)

    said = foreseen.asked(python, [], stamped, range(len(stamped)), tmp_path)
    (score,) = foreseen.scores(stamped, foreseen.survivable({release: said}), tried=True)

    assert min(len(score.loaded), len(score.refused)) > 30
    assert not score.false_loads, score.wrong[:10]
    assert min(score.shares) >= _RIGHT, score.wrong[:10]


def test_what_kills_the_asked_process_is_told_and_the_next_model_is_asked(stamped, tmp_path):
    text = """#!/bin/sh
grep -q '\\[\\[0,' "$3" && { echo '[0, null]'; exit 139; }
echo '[1, null]'; echo '[1, ""]'
"""
    python = tmp_path / "python"
    python.write_text(text)
    python.chmod(0o755)

    said = foreseen.asked(python, [], stamped, [0, 1], tmp_path)

    assert said == {0: foreseen.CRASHED, 1: ""}


# What the optimizer makes of nodes decides whether they load, in some releases and at some opsets.
_SPOILT = {
    "silu": (TensorProto.DOUBLE, [("Sigmoid", "x", "a"), ("Mul", "x a", "y")]),
    "scaled": (
        TensorProto.DOUBLE,
        [("Add", "x x", "a"), ("Sigmoid", "a", "b"), ("Mul", "b a", "y")],
    ),
    "gated twice": (
        TensorProto.DOUBLE,
        [("Sigmoid", "x", "a"), ("Mul", "x a", "b"), ("Add", "a b", "y")],
    ),
    "transposed": (TensorProto.DOUBLE, [("Transpose", "x", "a"), ("MatMul", "x a", "y")]),
    "dense": (TensorProto.DOUBLE, [("Gemm", "x w w", "a"), ("Relu", "a", "y")]),
    "named": (TensorProto.FLOAT, [("Relu", "x", "a"), ("Identity", "a", "y")]),
    "renamed": (TensorProto.FLOAT, [("Identity", "x", "a"), ("Relu", "a", "y")]),
    "halves": (
        TensorProto.FLOAT16,
        [("LayerNormalization", "x v v", "a"), ("Erf", "a", "b"), ("MatMul", "b w", "y")],
    ),
    "doubles": (TensorProto.DOUBLE, [("LayerNormalization", "x v v", "a"), ("Erf", "a", "y")]),
    "quantized": (
        TensorProto.FLOAT,
        [
            *(("QuantizeLinear", "x s z", "a"), ("DequantizeLinear", "a s z", "b")),
            *(("DequantizeLinear", "q s z", "c"), ("MatMul", "b c", "d")),
            *(("QuantizeLinear", "d s z", "e"), ("DequantizeLinear", "e s z", "y")),
        ],
    ),
}


def _model(kind, nodes, opset):
    """Write nodes from x to y, with the weights that they read."""
    tensors = [
        helper.make_tensor("w", kind, [8, 8], [0.5] * 64),
        helper.make_tensor("v", kind, [8], [0.5] * 8),
        helper.make_tensor("s", TensorProto.FLOAT, [], [0.1]),
        helper.make_tensor("z", TensorProto.UINT8, [], [3]),
        helper.make_tensor("q", TensorProto.UINT8, [8, 8], [7] * 64),
    ]
    read = {name for _, names, _ in nodes for name in names.split()}
    graph = helper.make_graph(
        [helper.make_node(op, names.split(), [made]) for op, names, made in nodes],
        "spoilt",
        [helper.make_tensor_value_info("x", kind, [8, 8])],
        [onnx.ValueInfoProto(name="y")],
        [tensor for tensor in tensors if tensor.name in read],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=foreseen.IR)


def test_what_the_optimizer_spoils_or_saves_is_foretold(wheel, tmp_path):
    runtime, python = wheel
    release = find(f"{RUNTIME}{runtime}")
    stamped = []
    for name, (kind, nodes) in _SPOILT.items():
        for opset in range(7, release.opset + 1):
            path = tmp_path / f"{name}.{opset}.onnx"
            onnx.save(_model(kind, nodes, opset), path)
            stamped.append(foreseen.Stamped(name=name, opset=opset, ir=foreseen.IR, path=path))

    said = foreseen.asked(python, [], stamped, range(len(stamped)), tmp_path)
    (score,) = foreseen.scores(stamped, {release: said})

    assert not score.wrong
    assert score.loaded
    assert score.refused
