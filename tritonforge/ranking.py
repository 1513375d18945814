"""Rows that a model puts in the order of their scores, as detectors do.

Where two scores are nearer than arithmetic can tell apart, either of their rows may come first.
"""

from collections.abc import Callable

import numpy as np

from tritonforge.tensors import Arrays

_MOST = 4096  # rows, each of which is looked for among all
_WIDEST = 64  # numbers of a row by which it is recognised: a mask is not needed for that

# Whether rows of an output, the wanted and the given ones by index, agree one by one.
Agree = Callable[[str, np.ndarray, np.ndarray], np.ndarray]


def in_order(want: Arrays, got: Arrays, agree: Agree) -> Arrays:
    """Put given rows in the wanted order where scores that agree are all that decides it.

    What cannot be matched row by row, in every output, is left as it came.
    """
    for score in want:
        names = _ranked(score, want, got)
        if not names:
            continue
        everyone = np.arange(len(want[score]))
        if all(agree(name, everyone, everyone).all() for name in names):
            return got
        order = _order(len(everyone), [score, *names], agree)
        if order is not None:
            return {name: each[order] if name in names else each for name, each in got.items()}
    return got


def is_ranked(outputs: Arrays) -> bool:
    """Say whether some outputs are rows in the order of a score."""
    return any(_ranked(score, outputs, outputs) for score in outputs)


def nearest(want: Arrays, got: Arrays) -> Arrays:
    """Put given rows where the wanted ones are that they are most like, each taken once."""
    for score in want:
        names = _ranked(score, want, got)
        if not names:
            continue
        told = [name for name in names if want[name][0].size <= _WIDEST]
        left = np.ones(len(want[score]), dtype=bool)
        order: list[int] = []
        for row in range(len(left)):
            apart = np.max([_apart(want[name][row], got[name]) for name in told], axis=0)
            order.append(int(np.argmin(np.where(left, apart, np.inf))))
            left[order[-1]] = False
        return {name: each[order] if name in names else each for name, each in got.items()}
    return got


def _apart(row: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return how far each of the rows is from one, as a part of the largest number in them."""
    each = rows.reshape(len(rows), -1)
    if rows.dtype.kind != "f":
        return np.asarray((each != row.reshape(-1)).any(axis=1).astype(np.float64))
    distance = np.abs(each - row.reshape(-1)).max(axis=1)
    return np.asarray(distance / max(float(np.abs(each).max()), np.finfo(np.float32).tiny))


def _ranked(score: str, want: Arrays, got: Arrays) -> list[str]:
    """Name the outputs that have a row for each score, if it is one that falls from row to row."""
    first = want[score]
    if first.dtype.kind != "f" or first.ndim != 1 or not 2 <= len(first) <= _MOST:
        return []
    for each in (first, got.get(score, first[:0])):
        if each.shape != first.shape or not (np.diff(each) <= 0).all():
            return []
    same = [name for name in want if name in got and want[name].shape == got[name].shape]
    rows = [name for name in same if want[name].ndim and len(want[name]) == len(first)]
    return rows if len(rows) > 1 else []


def _order(count: int, names: list[str], agree: Agree) -> list[int] | None:
    """Find for each wanted row the given one that agrees in all outputs, each taken once."""
    everyone = np.arange(count)
    left = np.ones(count, dtype=bool)
    order: list[int] = []
    for row in range(count):
        found = left.copy()
        for name in names:
            near = everyone[found]
            if not len(near):
                return None
            found[near] = agree(name, np.full(len(near), row), near)
        if not found.any():
            return None
        chosen = row if found[row] else int(np.argmax(found))
        left[chosen] = False
        order.append(chosen)
    return order
