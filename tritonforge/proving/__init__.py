"""Prove an `.onnx` file against the model it came from, and find out whether it can batch.

Between adapters and use cases: it composes samples, a session and the gate.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain

from tritonforge import batching, gate, graph, samples
from tritonforge.errors import GateError, GraphError
from tritonforge.progress import Progress
from tritonforge.proving.branches import branches
from tritonforge.proving.case import SEEDS_FOR_BRANCHES, SEEDS_FOR_FINDINGS, Case, plan_of, smallest
from tritonforge.proving.failing import why, why_at_all
from tritonforge.proving.hints import hint, shapes
from tritonforge.proving.kept import kept
from tritonforge.proving.outputs import (
    Seen,
    as_seen,
    finds,
    golden_of,
    is_all_found,
    is_steady,
    noise_of,
    restate,
    says_little,
    says_noise,
)
from tritonforge.tensors import Arrays, Run, Signature

Plan = Sequence[tuple[samples.Sizes, int]]

__all__ = ["Case", "Proof", "hint", "prove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found: the numbers, the largest batch (0: none, and why), the golden sample.

    `steady` is false where the numbers differ and the reference itself gives others each time.
    """

    report: gate.GateReport
    signature: Signature
    max_batch_size: int
    unbatched: str | None
    golden: tuple[Arrays, Arrays]
    steady: bool
    notes: tuple[str, ...]


def prove(
    case: Case,
    reference: Run,
    progress: Progress,
    exact: Callable[[], Run] | None = None,
    leave: Callable[[], None] | None = None,
) -> Proof:
    """Compare over the sweep of sizes and seeds, then see whether rows are independent.

    `exact` makes the reference in double precision: where the numbers differ it tells how exact
    the reference itself is, and by that they are judged again; of boxes in the order of their
    scores it is asked at once, for they are small differences of large numbers. With `leave` the
    reference and the file are never in memory both: it frees the reference until that is asked
    again.

    Output dimensions that the file states as fixed but that vary are renamed in the file. Raises
    `GateError` where the numbers differ, `ExportError` where a dynamic dimension is frozen inside.
    """
    plan, seen, steady, rest = tuple(plan_of(case)), list[Seen](), True, None
    if leave is None and exact is not None and finds(case, reference):
        case = replace(case, noise=_noise(case, reference, exact, plan, progress))
    with kept(case, reference, plan, progress, leave) as judge:
        with graph.session(case.path) as run:
            report = _report(case, judge, run, plan, seen, progress)
            if report.passed:
                with suppress(GateError):  # of another branch, which is judged again likewise
                    rest = _rest(case, judge, run, report, seen)
        if rest is None:
            steady = is_steady(case, reference)
            if steady and exact is not None and not case.noise:
                case = replace(case, noise=_noise(case, judge, exact, plan, progress))
            if leave is not None:
                leave()
            with graph.session(case.path) as run:
                if case.noise:
                    report = _report(case, judge, run, plan, seen, progress)
                rest = _rest(case, judge, run, report, seen)
        notes, signature, unbatched = rest
        if signature != case.signature:
            case = replace(case, signature=signature)
            restate(case)
        golden = golden_of(case, judge, report, len(plan) + SEEDS_FOR_FINDINGS)
    return Proof(
        report=report,
        signature=signature,
        max_batch_size=0 if unbatched else case.max_batch_size,
        unbatched=unbatched,
        golden=golden,
        steady=steady,
        notes=(*notes, *says_little(report)),
    )


def _noise(
    case: Case, judge: Run, exact: Callable[[], Run], plan: Plan, progress: Progress
) -> dict[str, float]:
    """Return how far each output may lie from the original for reasons of rounding alone."""
    progress("asking how exact the model itself is, in double precision")
    return noise_of(case, judge, exact, plan)


def _report(
    case: Case, judge: Run, run: Run, plan: Plan, seen: list[Seen], progress: Progress
) -> gate.GateReport:
    """Compare every planned sample; `seen` then holds what was seen of them."""
    seen.clear()
    pairs = _pairs(case, judge, run, plan, seen, progress)
    return gate.compare(pairs, case.tolerance, case.noise, ranked=case.ranked)


def _rest(
    case: Case, judge: Run, run: Run, report: gate.GateReport, seen: Sequence[Seen]
) -> tuple[tuple[str, ...], Signature, str | None]:
    """Return what to tell beside the numbers, the signature as it was seen, and why no batch."""
    notes = (*says_noise(report, case.noise), *branches(case, judge, run))
    case = replace(case, signature=as_seen(case.signature, seen))
    return notes, case.signature, _cannot_batch(case, run)


def _pairs(
    case: Case,
    reference: Run,
    run: Run,
    plan: Plan,
    seen: list[Seen],
    progress: Progress,
) -> Iterator[tuple[Arrays, Arrays]]:
    """Run every planned sample both ways; `seen` collects the sizes and the output shapes.

    More are drawn where an output has been empty in all of them.
    """
    for number, (sizes, seed) in enumerate(chain(plan, _until_found(case, plan, seen))):
        count = max(len(plan), number + 1)
        progress(f"proving sample {number + 1} of {count}", number / count)
        sample = case.draw(sizes, seed)
        try:
            want = reference(sample)
        except GraphError as error:
            raise why_at_all(case, run, sizes, error) from error
        try:
            got = run(sample)
        except GraphError as error:
            raise why(case, run, sizes, str(error)) from error
        wrong = [name for name in want if name in got and got[name].shape != want[name].shape]
        if wrong:
            said = f"output {wrong[0]!r} has not the model's shape"
            raise why(case, run, sizes, said, shapes(want[wrong[0]], got[wrong[0]]))
        seen.append((sizes, {name: array.shape for name, array in got.items()}))
        yield want, got


def _until_found(
    case: Case, plan: Plan, seen: Sequence[Seen]
) -> Iterator[tuple[samples.Sizes, int]]:
    """Name further samples as long as some output has been empty in every one that was seen."""
    for extra in range(SEEDS_FOR_FINDINGS):
        if is_all_found(seen):
            return
        yield smallest(case), len(plan) + extra


def _cannot_batch(case: Case, run: Run) -> str | None:
    """Say why the model cannot batch, None where each row of a batch could have come alone.

    Rows that go the same way prove nothing, so a model that decides by its data is asked with many
    seeds.
    """
    if case.max_batch_size == 0:
        return "max_batch_size 0 was asked for"
    batch = case.signature.batch
    if batch is None or case.max_batch_size == 1:
        return batching.refused(case.signature)
    rows = min(case.max_batch_size, batching.ROWS)
    for seed in range(SEEDS_FOR_BRANCHES if case.conditions or case.hidden_conditions else 1):
        sample = case.draw({**smallest(case), batch: rows}, seed)
        reason = batching.entangled(run, sample, case.tolerance, case.noise)
        if reason is not None:
            return reason
    return None
