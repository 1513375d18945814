"""Rows in the order of a score: which of them may change places, and which may not."""

import numpy as np
import pytest

from tritonforge import gate, ranking
from tritonforge.spec import Tolerance

SCORES = np.array([0.9, 0.5, 0.5, 0.1], np.float32)
BOXES = np.arange(16, dtype=np.float32).reshape(4, 4)
LABELS = np.array([1, 2, 3, 4])
FOUND = {"boxes": BOXES, "scores": SCORES, "labels": LABELS}


def passes(got, ranked=True, want=FOUND):
    return gate.compare([(want, got)], Tolerance(), ranked=ranked).passed


def swapped(first, second):
    order = np.arange(4)
    order[[first, second]] = second, first
    return {name: each[order] for name, each in FOUND.items()}


def test_rows_of_one_score_may_change_places_in_all_outputs_at_once():
    assert passes(FOUND)
    assert passes(swapped(1, 2))
    assert not passes(swapped(1, 2), ranked=False)
    assert not passes(FOUND | {"labels": swapped(1, 2)["labels"]})


def test_rows_are_found_again_by_what_they_are_most_like():
    near = {"boxes": BOXES + np.float32(0.01), "scores": SCORES, "labels": FOUND["labels"]}
    other = {name: each[[0, 2, 1, 3]] for name, each in near.items()}
    found = ranking.nearest(FOUND, other)
    np.testing.assert_array_equal(found["boxes"], near["boxes"])
    np.testing.assert_array_equal(found["labels"], FOUND["labels"])
    fewer = {name: each[:3] for name, each in FOUND.items()}
    assert ranking.nearest(FOUND, fewer) is fewer


def test_a_rounding_between_two_scores_is_none_that_counts():
    near = SCORES + np.array([0, 1e-6, -1e-6, 0], np.float32)
    assert passes(swapped(1, 2) | {"scores": near})


@pytest.mark.parametrize("rows", [(0, 1), (2, 3)])
def test_rows_of_other_scores_keep_their_places(rows):
    assert not passes(swapped(*rows))
    assert not passes(swapped(*rows) | {"scores": SCORES})


def test_a_row_is_taken_once():
    twice = {name: each[[0, 1, 1, 3]] for name, each in FOUND.items()}
    assert not passes(twice)
    assert not passes(FOUND, want=twice)


def test_what_does_not_fall_is_no_score():
    rising = {"x": SCORES[::-1].copy(), "y": LABELS}
    assert not passes({"x": rising["x"], "y": LABELS[[0, 2, 1, 3]]}, want=rising)
