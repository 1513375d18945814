"""Operators that stand as their bodies."""

import pytest
from graphs import made, node, weight
from onnx import TensorProto as T
from placements import placed

PAIR = [("x", T.FLOAT, [2, 4, 8])], [("y", T.FLOAT, [2, 4, 8])]


def grouped(names=("gn",), opset=21):
    """Make a chain of group normalizations."""
    values = ["x", *(f"v{index}" for index in range(len(names) - 1)), "y"]
    nodes = [
        node("GroupNormalization", [before, "s", "b"], [after], name=name, num_groups=2)
        for name, before, after in zip(names, values[:-1], values[1:], strict=True)
    ]
    return made(nodes, *PAIR, [weight("s", 4), weight("b", 4)], opset=opset)


def test_the_nodes_of_a_body_say_what_they_stand_for():
    found = placed(grouped())
    assert found.refusal is None
    assert {each.inlined for each in found.nodes} == {"gn"}
    assert all(each.name.startswith("gn/") for each in found.nodes)
    assert "GroupNormalization" not in {each.op for each in found.nodes}


def test_two_nodes_of_one_name_are_not_mixed_up():
    once, twice = placed(grouped()), placed(grouped(("same", "same")))
    assert twice.refusal is None
    assert len(twice.nodes) == 2 * len(once.nodes)
    assert {each.inlined for each in twice.nodes} == {"same"}


@pytest.mark.parametrize("accelerator", ["cpu", "cuda"])
def test_what_has_a_kernel_stands_as_it_is(accelerator):
    nodes = [node("LayerNormalization", ["x", "s"], ["y"], name="ln")]
    model = made(nodes, *PAIR, [weight("s", 8)])
    (only,) = placed(model, accelerator=accelerator).nodes
    assert (only.op, only.inlined) == ("LayerNormalization", None)
    before = placed(model, "22.07", accelerator)  # whose ONNX Runtime has no kernel yet
    assert len(before.nodes) > 5
    assert {each.inlined for each in before.nodes} == {"ln"}
