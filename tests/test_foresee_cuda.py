"""Where CUDA's nodes land: the cases that are known of its releases."""

import foreseen
import pytest


@pytest.mark.parametrize("case", foreseen.CASES, ids=str)
def test_a_node_lands_where_it_is_known_to(case):
    wanted = dict.fromkeys(case.cpu, "cpu") | dict.fromkeys(case.cuda, "cuda")

    assert {runtime: case.placed(runtime) for runtime in wanted} == wanted
