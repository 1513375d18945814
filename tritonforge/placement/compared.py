"""What was foretold of nodes beside what a session did with them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tritonforge.placement.observed import Observation, Seen
from tritonforge.placement.predicted import Placed


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A node as it was foretold and as it was seen, None where it was not."""

    placed: Placed | None
    seen: Seen | None

    @property
    def agrees(self) -> bool | None:
        """Say whether it was seen where it was foretold; None of a node that lacks one of both."""
        if self.placed is None or self.seen is None:
            return None
        return self.placed.provider == self.seen.provider


def compared(foretold: Sequence[Placed], observation: Observation) -> tuple[Compared, ...]:
    """Put the nodes of both together, in the order foretold, those only seen after them.

    A node is known again by its operator and name. What a runtime puts in itself has no name, such
    as the nodes of an operator's body: those of an operator are as good as each other then, and one
    on the provider that was foretold is taken first.
    """
    if observation.alone is not None:
        return tuple(
            Compared(
                placed=each,
                seen=Seen(name=each.name, op=each.op, domain=None, provider=observation.alone),
            )
            for each in foretold
        )
    found = _known_again(foretold, observation.nodes)
    both = [Compared(placed=each, seen=found.get(index)) for index, each in enumerate(foretold)]
    known = {id(seen) for seen in found.values()}
    rest = [seen for seen in observation.nodes if id(seen) not in known]
    return (*both, *(Compared(placed=None, seen=seen) for seen in rest))


def _known_again(foretold: Sequence[Placed], nodes: Sequence[Seen]) -> dict[int, Seen]:
    """Return what was seen of each node by its place among those foretold."""
    left: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for seen in nodes:
        left[seen.op, seen.name].append(seen)
    found: dict[int, Seen] = {}
    for nameless, same in ((False, True), (False, False), (True, True), (True, False)):
        for index, placed in enumerate(foretold):
            those = left[placed.op, "" if nameless else placed.name]
            fitting = (seen for seen in those if not same or seen.provider == placed.provider)
            if index not in found and (one := next(fitting, None)) is not None:
                those.remove(one)
                found[index] = one
    return found
