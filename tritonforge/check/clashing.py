"""Which changes of a config get in each other's way, and in what order they are made."""

from collections.abc import Iterable, Sequence

from tritonforge.pbtxt.editing import paths
from tritonforge.pbtxt.editing.paths import Index, Key, Name, Step
from tritonforge.pbtxt.strict import literals
from tritonforge.rules import Change


def clash(one: Sequence[Change], other: Sequence[Change]) -> bool:
    """Say whether two sets of changes cannot both be made: the same one twice can."""
    return any(_clash(a, b) for a in one for b in other if a != b)


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Order changes so that none moves what another is about: elements go from the last on."""
    every = list(dict.fromkeys(changes))
    kept = [each for each in every if each.value is not None]
    gone = [each for each in every if each.value is None]
    return [*kept, *sorted(gone, key=_numbers, reverse=True)]


def reaches(change: Change, path: str) -> bool:
    """Say whether what differs at a path may come of a change; an element that goes moves others.

    Lists of values are compared as a whole, so that the path may be the shorter one. An element
    that gets another name differs under both.
    """
    steps, differs = paths.parse(change.path), paths.parse(path)
    if change.value is None and isinstance(steps[-1], Index):
        steps = steps[:-1]
    return _along(steps, differs) or _along(_renamed(change, steps) or steps, differs)


def _renamed(change: Change, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return where an element is that a change gives another name; nothing for other changes."""
    is_of_element = len(steps) > 1 and not isinstance(steps[-2], Name)
    if change.value is None or not is_of_element or steps[-1] != Name(text="name"):
        return ()
    return (*steps[:-2], Key(text=literals.unquoted(change.value)))


def _clash(a: Change, b: Change) -> bool:
    if a.value is None and b.value is None:
        return False  # both are gone then, whichever holds the other
    return _along(paths.parse(a.path), paths.parse(b.path))


def _along(a: Sequence[Step], b: Sequence[Step]) -> bool:
    """Say whether one path leads to the other, or through it."""
    return all(_may_be(one, other) for one, other in zip(a, b, strict=False))


def _may_be(one: Step, other: Step) -> bool:
    """Say whether two steps may lead to the same: a name and a number may be of one element."""
    named = isinstance(one, Key | Index) and isinstance(other, Key | Index)
    return one == other or (named and type(one) is not type(other)) or _text(one) == _text(other)


def _text(step: Step) -> str | int | None:
    """Return what a step says; behind a map a key may stand as a name."""
    return step.number if isinstance(step, Index) else step.text


def _numbers(change: Change) -> tuple[tuple[int, ...], int]:
    """Return what elements that go are ordered by: the numbers on the way, and how far it leads."""
    steps = paths.parse(change.path)
    return tuple(each.number or 0 for each in steps if isinstance(each, Index)), len(steps)
