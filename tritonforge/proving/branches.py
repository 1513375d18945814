"""Both sides of every If, as far as samples take them."""

from tritonforge import gate, graph
from tritonforge.errors import GateError
from tritonforge.proving.case import SEEDS_FOR_BRANCHES, Case, smallest
from tritonforge.tensors import Arrays, Run


def branches(case: Case, reference: Run, run: Run) -> tuple[str, ...]:
    """Compare until both sides of every If have been taken; name those that never were."""
    missing = {(name, side) for name in case.conditions for side in (True, False)}
    seeds = SEEDS_FOR_BRANCHES if missing or case.hidden_conditions else 0
    for seed in range(seeds):
        sample = case.draw(smallest(case), seed)
        taken = _taken(case, sample) & missing
        if taken or case.hidden_conditions:
            missing -= taken
            report = gate.compare([(reference(sample), run(sample))], case.tolerance, case.noise)
            if not report.passed:
                raise GateError(f"with another branch taken, {gate.summary(report)}", report=report)
        if not missing and not case.hidden_conditions:
            break
    hidden = f"{case.hidden_conditions} If nodes lie inside loops, branches or functions: which of "
    hidden += f"their sides {seeds} samples took cannot be told"
    return (hidden,) * bool(case.hidden_conditions) + tuple(
        f"no sample took the {'then' if side else 'else'} branch decided by {name!r};"
        " widen --domain so that the gate can see it"
        for name, side in sorted(missing)
    )


def _taken(case: Case, sample: Arrays) -> set[tuple[str, bool]]:
    """Return which side of each If a sample takes."""
    if not case.conditions:
        return set()
    with graph.session(case.path, extra_outputs=case.conditions) as watched:
        values = watched(sample)
    return {(name, bool(values[name].flat[0])) for name in case.conditions}
