"""Both sides of every If, as far as samples take them."""

from collections.abc import Iterator
from contextlib import ExitStack

from tritonforge import gate, graph
from tritonforge.errors import GateError
from tritonforge.proving.case import SEEDS_FOR_BRANCHES, Case, plan_of, smallest
from tritonforge.tensors import Arrays, Run


def branches(case: Case, reference: Run, run: Run) -> tuple[str, ...]:
    """Compare until both sides of every If have been taken; name those that never were.

    What the planned samples take has been compared already: their sizes may decide it.
    """
    missing = {(name, side) for name in case.conditions for side in (True, False)}
    seeds = SEEDS_FOR_BRANCHES if missing or case.hidden_conditions else 0
    with ExitStack() as stack:
        watched: Run | None = None
        if case.conditions:
            session = graph.session(case.path, extra_outputs=case.conditions)
            watched = stack.enter_context(session)
            for sizes, seed in plan_of(case):
                missing -= _taken(case, watched, case.draw(sizes, seed))
        for seed in range(seeds):
            if not missing and not case.hidden_conditions:
                break
            sample = case.draw(smallest(case), seed)
            taken = set() if watched is None else _taken(case, watched, sample) & missing
            if taken or case.hidden_conditions:
                missing -= taken
                pairs = [(reference(sample), run(sample))]
                report = gate.compare(pairs, case.tolerance, case.noise, ranked=case.ranked)
                if not report.passed:
                    said = f"with another branch taken, {gate.summary(report)}"
                    raise GateError(said, report=report)
    return tuple(_unseen(case, missing))


def _taken(case: Case, watched: Run, sample: Arrays) -> set[tuple[str, bool]]:
    """Return which side of which If a sample takes."""
    values = watched(sample)
    return {(name, bool(values[name].flat[0])) for name in case.conditions}


def _unseen(case: Case, missing: set[tuple[str, bool]]) -> Iterator[str]:
    """Name what the samples did not, or may not have, shown."""
    if case.hidden_conditions:
        yield (
            f"{case.hidden_conditions} If nodes lie inside loops, branches or functions: which of "
            f"their sides {SEEDS_FOR_BRANCHES} samples took cannot be told"
        )
    for name, side in sorted(missing):
        yield (
            f"no sample took the {'then' if side else 'else'} branch decided by {name!r};"
            " widen --domain, or --range where a size decides, so that the gate can see it"
        )
