"""Runs that repeat in a sequence: twelve equal layers told once."""

from collections.abc import Hashable, Iterator, Sequence

_LONGEST = 300  # so many items a run may have


def repeats(items: Sequence[Hashable]) -> Iterator[tuple[int, int, int]]:
    """Part a sequence into runs: yield where each starts, its length and how often it comes.

    Of several ways to see a repetition the one that covers most is taken, then the shortest run.
    """
    numbers: dict[Hashable, int] = {}
    marks = [numbers.setdefault(each, len(numbers)) for each in items]
    at = 0
    while at < len(marks):
        length, times = _best(marks, at)
        yield at, length, times
        at += length * times


def _best(marks: Sequence[int], at: int) -> tuple[int, int]:
    """Return the length of the run that starts here and covers most, and how often it comes."""
    best = 1, 1
    for length in range(1, min(_LONGEST, (len(marks) - at) // 2) + 1):
        if marks[at + length] != marks[at]:
            continue
        run, times = marks[at : at + length], 1
        while marks[at + length * times : at + length * (times + 1)] == run:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = length, times
    return best
