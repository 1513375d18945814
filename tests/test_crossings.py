"""Islands of nodes and the values that go between them."""

import graphs
from graphs import made, node

from tritonforge.graph.typed import resolved
from tritonforge.placement.crossings import copies, islands


def chain(*steps):
    """Make nodes of one input each: `(input, output)`."""
    nodes = [node("Relu", [before], [after]) for before, after in steps]
    return resolved(made(nodes, *graphs.ROW)).nodes


def test_one_provider_is_one_island_and_copies_nothing():
    nodes = chain(("x", "a"), ("a", "b"), ("b", "y"))
    assert islands(nodes, ["cuda"] * 3) == 1
    assert copies(nodes, ["cuda"] * 3, {}) == 0
    assert copies(nodes, ["cpu"] * 3, {}) == 0


def test_a_node_between_breaks_an_island_and_costs_two_copies():
    nodes = chain(("x", "a"), ("a", "b"), ("b", "y"))
    providers = ["cuda", "cpu", "cuda"]
    assert islands(nodes, providers) == 3
    assert copies(nodes, providers, {}) == 2


def test_parts_that_are_not_connected_are_islands_of_their_own():
    nodes = chain(("x", "a"), ("x", "b"), ("b", "y"))
    assert islands(nodes, ["cuda"] * 3) == 2


def test_a_value_is_copied_once_however_many_read_it():
    nodes = chain(("x", "a"), ("a", "b"), ("a", "c"), ("a", "y"))
    assert copies(nodes, ["cuda", "cpu", "cpu", "cuda"], {}) == 1


def test_an_input_is_copied_where_both_sides_read_it():
    nodes = chain(("x", "a"), ("x", "y"))
    assert copies(nodes, ["cuda", "cpu"], {}) == 1
    assert copies(nodes, ["cuda", "cpu"], {"x": 8}) == 0  # a weight is on both from the start
