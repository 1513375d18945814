"""What was foretold beside what was seen."""

from tritonforge.placement import Placed, compared
from tritonforge.placement.observed import Observation, Seen


def placed(name, op, provider):
    """Make a node as it was foretold."""
    rest = {"since": 1, "path": (), "inlined": None, "reason": None, "flops": 0}
    rest |= {"widened": False, "hosted": False}
    return Placed(name=name, op=op, domain="ai.onnx", provider=provider, **rest)


def observation(*nodes, alone=None):
    """Make what a session said of nodes, `(name, op, provider)`."""
    seen = tuple(
        Seen(name=name, op=op, domain="ai.onnx", provider=provider) for name, op, provider in nodes
    )
    return Observation(runtime="1", told_by="log", refusal=None, nodes=seen, alone=alone)


def verdicts(foretold, seen):
    """Return what each pair says."""
    return [each.agrees for each in compared(foretold, seen)]


def test_a_node_is_known_by_operator_and_name():
    foretold = [placed("a", "Relu", "cuda"), placed("b", "Relu", "cuda")]
    seen = observation(("b", "Relu", "cpu"), ("a", "Relu", "cuda"))
    assert verdicts(foretold, seen) == [True, False]


def test_nodes_without_a_name_are_known_by_operator_and_number():
    foretold = [placed("f/1", "Cast", "cpu"), placed("f/2", "Cast", "cuda")]
    foretold.append(placed("f/3", "Cast", "cuda"))
    seen = observation(("", "Cast", "cuda"), ("", "Cast", "cpu"), ("", "Cast", "cpu"))
    assert verdicts(foretold, seen) == [True, True, False]


def test_what_has_only_one_side_neither_agrees_nor_differs():
    pairs = compared([placed("a", "Relu", "cpu")], observation(("b", "Tanh", "cpu")))
    assert [each.agrees for each in pairs] == [None, None]
    assert pairs[0].seen is None
    assert pairs[1].placed is None


def test_a_provider_that_has_all_has_each():
    foretold = [placed("a", "Relu", "cpu"), placed("b", "Relu", "cuda")]
    assert verdicts(foretold, observation(alone="cpu")) == [True, False]
