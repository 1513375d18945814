"""What crashes ONNX Runtime is foretold, and does not take this process with it."""

import sys
from importlib.metadata import version
from pathlib import Path

import foreseen
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tritonforge.graph.running import session
from tritonforge.placement import place_model
from tritonforge.release import find

_F, _H = TensorProto.FLOAT, TensorProto.FLOAT16


def _model(*, perm=(1, 0, 2), rank=2, cast=_F, given=_H, after=(), outputs="y", product="MatMul"):
    """Write x, transposed, cast where asked, times a weight of that rank."""
    kind = cast or given
    width = [4, 2, 8][perm[-1]]
    weight = np.ones([*[1] * (rank - 2), width, 6])
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=perm)]
    if cast and not after:
        nodes.append(helper.make_node("Cast", ["t"], ["c"], to=cast))
    domain = "com.microsoft" if product == "FusedMatMul" else ""
    operands = ["c" if cast else "t", "w"]
    nodes += [*after, helper.make_node(product, operands, ["y"], name="product", domain=domain)]
    graph = helper.make_graph(
        nodes,
        "recast",
        [helper.make_tensor_value_info("x", given, [4, 2, 8])],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(weight.astype(helper.tensor_dtype_to_np_dtype(kind)), "w")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _named(given):
    """Cast what is transposed, by another name."""
    return [
        helper.make_node("Identity", ["t"], ["u"]),
        helper.make_node("Cast", ["u"], ["c"], to=given),
    ]


_CRASHES = {
    "cast": _model(),
    "last": _model(perm=(1, 2, 0)),
    "double": _model(given=TensorProto.DOUBLE),
    "halves": _model(cast=None),
    "output": _model(outputs="yc"),
    "named": _model(after=_named(_F)),
    "fused": _model(product="FusedMatMul"),
}
_LOADS = {
    "same rank": _model(rank=3),
    "last two": _model(perm=(0, 2, 1)),
    "reversed": _model(perm=(2, 1, 0)),
    "to half": _model(given=_F, cast=_H),
    "transposed too": _model(outputs="yt"),
    "floats": _model(given=_F, cast=None),
    "whole numbers": _model(given=TensorProto.INT64, cast=TensorProto.INT32),
    "same type": _model(given=_F, cast=_F),
}


def _refusal(model, runtime, accelerator="cpu"):
    return next(place_model(model, [find(f"ort:{runtime}")], accelerator)).refusal


@pytest.mark.parametrize("name", [*_CRASHES, *_LOADS])
def test_it_is_foretold_what_real_wheels_do(name, embedded, tmp_path):
    model = (_CRASHES | _LOADS)[name]
    onnx.save(model, tmp_path / "model.onnx")
    stamped = [foreseen.Stamped(name=name, opset=17, ir=8, path=tmp_path / "model.onnx")]
    pythons = {
        version("onnxruntime"): sys.executable,
        embedded.onnxruntime: embedded.root / "bin" / "python",
    }
    for runtime, python in pythons.items():
        said = foreseen.asked(Path(python), [], stamped, [0], tmp_path)[0]
        foretold = _refusal(model, runtime)
        assert (said == foreseen.CRASHED) == (foretold is not None), (runtime, said, foretold)


@pytest.mark.parametrize(
    ("name", "first"), [("cast", "1.19.2"), ("halves", "1.23.0"), ("double", "1.19.2")]
)
def test_since_which_release(name, first):
    crashing = [
        runtime
        for runtime in ("1.17.3", "1.18.1", "1.19.2", "1.22.0", "1.23.0", "1.28.0", "1.31.1")
        if _refusal(_CRASHES[name], runtime) is not None
    ]
    assert crashing[0] == first
    assert crashing[-1] == "1.31.1"


def test_on_a_gpu_half_floats_are_not_cast():
    assert _refusal(_CRASHES["halves"], "1.28.0", "cuda") is None
    assert "product" in _refusal(_CRASHES["cast"], "1.28.0", "cuda")
    assert "product" in _refusal(_LOADS["to half"], "1.28.0", "cuda")


def test_what_tensorrt_has_does_not_meet_it():
    found = next(place_model(_CRASHES["cast"], [find("25.10")], "tensorrt"))

    assert found.refusal is None
    assert {each.provider for each in found.nodes} == {"tensorrt"}


@pytest.mark.parametrize("name", _CRASHES)
def test_the_gate_survives_it(name, tmp_path):
    onnx.save(_CRASHES[name], tmp_path / "model.onnx")
    given = np.ones(
        [4, 2, 8],
        helper.tensor_dtype_to_np_dtype(_CRASHES[name].graph.input[0].type.tensor_type.elem_type),
    )
    with session(tmp_path / "model.onnx") as run:
        assert run({"x": given})["y"].shape[-1] == 6
