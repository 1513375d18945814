"""Whether a provider has a kernel for a node."""

import pytest
from graphs import made, node, one
from onnx import TensorProto as T

from tritonforge import release
from tritonforge.graph.typed import resolved
from tritonforge.placement.matching import CHAINS, PROVIDERS, mismatch, takes


def first(model, target="24.10", provider="cuda"):
    """Return why a provider has no kernel for a model's first node."""
    return mismatch(resolved(model).nodes[0], release.find(target), provider)


@pytest.mark.parametrize(
    ("opset", "target", "lost"),
    [(20, "24.10", False), (21, "24.10", True), (21, "26.08", False), (13, "21.06", False)],
)
def test_a_kernel_serves_the_versions_it_is_registered_for(opset, target, lost):
    flat = [node("Flatten", ["x"], ["y"])]
    model = made(flat, [("x", T.FLOAT, [2, 8])], [("y", T.FLOAT, [2, 8])], opset=opset)
    reason = first(model, target)
    assert (reason is not None) == lost
    if reason is not None:
        assert reason.kind == "version"
        assert "Flatten since version 21" in reason.text


def test_types_that_are_not_registered():
    inputs, outputs = [("x", T.INT8, [2, 8])], [("y", T.INT8, [2, 8])]
    model = made([node("Relu", ["x"], ["y"])], inputs, outputs)
    reason = first(model)
    assert reason is not None
    assert (reason.kind, reason.text) == ("type", "no kernel for Relu of int8")
    assert first(model, provider="cpu") is None


def test_an_operator_that_is_not_registered_at_all():
    reason = first(one("NoSuchThing", [("x", [2])], [("y", [2])], domain="my.own"))
    assert reason is not None
    assert reason.kind == "operator"


def test_what_is_not_bound_does_not_matter():
    wanted = {"T": frozenset({"float"}), "I": frozenset({"int64"})}
    assert takes(wanted, {"T": "float"})
    assert not takes(wanted, {"T": "float", "I": "int32"})


def test_every_accelerator_has_a_name_and_ends_on_the_cpu():
    assert set(PROVIDERS) == set(CHAINS)
    assert all(chain[0] == key and chain[-1] == "cpu" for key, chain in CHAINS.items())
