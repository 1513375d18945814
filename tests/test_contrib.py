"""ONNX Runtime's own operators, which change from release to release without a version."""

import onnx
import pytest
from onnx import TensorProto, helper

from tritonforge.graph import contrib
from tritonforge.placement import place_model, read, refusal
from tritonforge.release import find

MICROSOFT = "com.microsoft"


def _model(op, inputs, *, opset=17, domain=MICROSOFT, outputs=1, **attributes):
    """Write a model of one node; inputs are types."""
    made = [f"y{index}" for index in range(outputs)]
    names = [f"x{index}" for index in range(len(inputs))]
    graph = helper.make_graph(
        [helper.make_node(op, names, made, domain=domain, **attributes)],
        "own",
        [
            helper.make_tensor_value_info(name, kind, None)
            for name, kind in zip(names, inputs, strict=True)
        ],
        [onnx.ValueInfoProto(name=name) for name in made],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


_F, _H, _D = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE
_NBITS = {"K": 32, "N": 8, "block_size": 16}


@pytest.mark.parametrize(
    ("model", "runtime", "why"),
    [
        (
            _model("MultiHeadAttention", [_F], num_heads=2, unidirectional=1),
            "1.16.3",
            "no attribute unidirectional",
        ),
        (
            _model("MultiHeadAttention", [_F], num_heads=2, unidirectional=1),
            "1.18.1",
            None,
        ),
        (
            _model("MultiHeadAttention", [_F], num_heads=2, unidirectional=1),
            "1.15.1",
            "no attribute unidirectional",
        ),
        (_model("MultiHeadAttention", [_F]), "1.19.2", "needs its attribute num_heads"),
        (_model("MultiHeadAttention", [_F], num_heads=2.0), "1.19.2", "of another type"),
        (_model("MultiHeadAttention", [_D], num_heads=2), "1.19.2", "does not take double"),
        (_model("MultiHeadAttention", [_H], num_heads=2), "1.19.2", None),  # is cast
        (_model("MultiHeadAttention", [_F] * 12, num_heads=2), "1.19.2", "does not take 12"),
        (_model("Gelu", [_D]), "1.19.2", "no kernel for Gelu-1 of double"),
        (_model("Gelu", [_F]), "1.19.2", None),
        (_model("NoSuch", [_F]), "1.19.2", "no operator NoSuch"),
        (
            _model("MatMulNBits", [_F, TensorProto.UINT8, _F], bits=8, **_NBITS),
            "1.19.2",
            "MatMulNBits with bits 8",
        ),
        (_model("MatMulNBits", [_F, TensorProto.UINT8, _F], bits=8, **_NBITS), "1.22.0", None),
        (_model("Affine", [_F], domain="", opset=9), "1.19.2", None),
        (_model("Affine", [_F], domain="", opset=10), "1.19.2", "no operator Affine at opset 10"),
    ],
)
def test_what_a_release_takes_of_its_own_operators(model, runtime, why):
    found = refusal(read(model), find(f"ort:{runtime}"))

    assert (found is None) == (why is None), found
    assert why is None or why in found


def test_an_attribute_stands_once():
    model = _model("MultiHeadAttention", [_F], num_heads=2)
    model.graph.node[0].attribute.extend(model.graph.node[0].attribute[:1])
    assert "has an attribute twice" in (refusal(read(model), find("ort:1.19.2")) or "")


def test_newer_schemas_serve_newer_releases_only():
    def attributes(runtime):
        return set(contrib.schema(runtime, MICROSOFT, "MatMulNBits", 17).attributes)

    assert "accuracy_level" not in attributes("1.16.3")
    assert attributes("1.15.1") == attributes("1.16.3")
    assert "accuracy_level" in attributes("1.17.3")
    assert contrib.schema("1.19.2", MICROSOFT, "NoSuch", 17) is None


def test_the_domain_of_its_own_operators_has_one_version():
    model = _model("Gelu", [_F])
    model.opset_import[1].version = 2

    assert refusal(read(model), find("ort:1.19.2")) == (
        "opset 2 of com.microsoft, which it takes up to 1"
    )


def test_values_that_the_installed_runtime_refuses_are_refused_everywhere():
    model = _model("FusedGemm", [_F, _F], activation="no such")

    assert refusal(read(model), find("ort:1.19.2")) is None
    found = [each.refusal for each in place_model(model, [find("ort:1.19.2")], "cpu")]
    assert "unknown kernel type" in found[0]
    assert "ONNXRuntimeError" not in found[0]
