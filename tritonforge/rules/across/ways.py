"""Which ensembles lead to which models, in time that grows with their steps alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

Edges = Mapping[str, Iterable[str]]  # by ensemble the models of its steps


def holders(models: Iterable[str], edges: Edges) -> set[str]:
    """Return models and the ensembles that hold one of them, however far below."""
    above = reverse(edges)
    found = set(models)
    queue = [*found]
    for name in queue:
        new = above.get(name, set()) - found
        found |= new
        queue += new
    return found


def reverse(edges: Edges) -> Mapping[str, set[str]]:
    """Return by model the ensembles with a step of it."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, below in edges.items():
        for each in below:
            found[each].add(name)
    return found


def circles(edges: Edges) -> dict[str, frozenset[str]]:
    """Return by ensemble those that lead to it and to which it leads; alone if to itself.

    Those with which nothing leads back are left out. The way is Kosaraju's: against the edges, from
    the ensembles that were left last.
    """
    above, seen = reverse(edges), set[str]()
    found: dict[str, frozenset[str]] = {}
    for name in reversed(_left(edges)):
        if name in seen:
            continue
        seen.add(name)
        group = [name]
        for each in group:
            new = {one for one in above.get(each, ()) if one not in seen}
            seen |= new
            group += new
        if len(group) > 1 or name in edges[name]:
            found |= dict.fromkeys(group, frozenset(group))
    return found


def way(start: str, goal: str, edges: Edges) -> tuple[str, ...]:
    """Return the models on a shortest way from one to another that it leads to, both named."""
    before, queue = {start: ""}, [start]
    for name in queue:
        for each in edges.get(name, ()):
            if each not in before:
                before[each] = name
                queue.append(each)
    found = [goal]
    while found[-1] != start:
        found.append(before[found[-1]])
    return tuple(reversed(found))


def _left(edges: Edges) -> list[str]:
    """Return ensembles in the order in which a walk into their steps leaves them."""
    left: list[str] = []
    seen: set[str] = set()
    for root in edges:
        stack = [] if root in seen else [(root, iter(edges[root]))]
        seen.add(root)
        while stack:
            name, below = stack[-1]
            new = next((each for each in below if each in edges and each not in seen), None)
            if new is None:
                left.append(name)
                stack.pop()
            else:
                seen.add(new)
                stack.append((new, iter(edges[new])))
    return left
