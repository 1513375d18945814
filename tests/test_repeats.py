"""Runs that repeat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.graph.repeats import repeats


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ("", []),
        ("abc", [(0, 1, 1), (1, 1, 1), (2, 1, 1)]),
        ("aaa", [(0, 1, 3)]),
        ("xababab", [(0, 1, 1), (1, 2, 3)]),
        ("aabaab", [(0, 3, 2)]),
        ("ababcababc", [(0, 5, 2)]),
    ],
)
def test_a_run_that_covers_most_is_told_once(items, found):
    assert list(repeats(items)) == found


@given(st.text("ab", max_size=40))
def test_runs_give_the_sequence_again(items):
    told = "".join(items[at : at + length] * times for at, length, times in repeats(items))
    assert told == items
