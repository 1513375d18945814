"""Prove an `.onnx` file against the model it came from, and find out whether it can batch.

Between adapters and use cases: it composes samples, a session and the gate.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tritonforge import gate, graph, samples
from tritonforge.errors import ExportError, GateError, GraphError
from tritonforge.progress import Progress
from tritonforge.spec import Domain, Range, Tolerance
from tritonforge.tensors import Arrays, Dim, Run, Signature

# So many more seeds are drawn to see both sides of every If.
_SEEDS_FOR_BRANCHES = 24
# Sizes are swept with one seed each; these many further seeds run at the smallest size.
_MORE_SEEDS = 2

# The sizes of a sample and the shapes of the outputs it gave.
Seen = tuple[samples.Sizes, Mapping[str, tuple[int, ...]]]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a proof needs to know of a model."""

    path: Path
    signature: Signature
    conditions: tuple[str, ...]
    domains: Mapping[str, Domain]
    ranges: Mapping[str, Range]
    tolerance: Tolerance
    max_batch_size: int
    sample_seed: int
    export_sizes: samples.Sizes

    def draw(self, sizes: samples.Sizes, seed: int) -> Arrays:
        """Draw a sample of this model."""
        return samples.draw(self.signature.inputs, self.domains, sizes, self.sample_seed + seed)


def prove(case: Case, reference: Run, progress: Progress) -> Proof:
    """Compare over the sweep of sizes and seeds, then see whether rows are independent.

    Output dimensions that the file states as fixed but that vary are renamed in the file. Raises
    `GateError` where the numbers differ, `ExportError` where a dynamic dimension is frozen inside.
    """
    plan, seen = tuple(_plan(case)), list[Seen]()
    with graph.session(case.path) as run:
        report = gate.compare(_pairs(case, reference, run, plan, seen, progress), case.tolerance)
        notes = _branches(case, reference, run)
        stated, case = case.signature, replace(case, signature=_as_seen(case.signature, seen))
        unbatched = _cannot_batch(case) or _entangled(case, run)
    if case.signature != stated:
        _restate_outputs(case)
    sample = case.draw(_smallest(case), 0)
    golden = reference(sample)
    return Proof(
        report=report,
        signature=case.signature,
        max_batch_size=0 if unbatched else case.max_batch_size,
        unbatched=unbatched,
        golden=(sample, golden),
        steady=report.passed or gate.compare([(golden, reference(sample))], case.tolerance).passed,
        notes=(*notes, *_not_finite(report)),
    )


def _not_finite(report: gate.GateReport) -> tuple[str, ...]:
    """Name the outputs that hold no numbers, on which both sides agree all the same."""
    return tuple(
        f"{each.not_finite} of {each.elements} values of output {each.name!r} are NaN or infinite,"
        " in the model itself too; does --domain suit it?"
        for each in report.outputs
        if each.not_finite
    )


def _pairs(
    case: Case,
    reference: Run,
    run: Run,
    plan: Sequence[tuple[samples.Sizes, int]],
    seen: list[Seen],
    progress: Progress,
) -> Iterator[tuple[Arrays, Arrays]]:
    """Run every planned sample both ways; `seen` collects the sizes and the output shapes."""
    for number, (sizes, seed) in enumerate(plan):
        progress(f"proving sample {number + 1} of {len(plan)}", number / len(plan))
        sample = case.draw(sizes, seed)
        want = reference(sample)
        try:
            got = run(sample)
        except GraphError as error:
            raise _frozen(case, run, sizes, str(error)) from error
        wrong = [name for name in want if name in got and got[name].shape != want[name].shape]
        if wrong:
            raise _frozen(case, run, sizes, f"output {wrong[0]!r} has not the model's shape")
        seen.append((sizes, {name: array.shape for name, array in got.items()}))
        yield want, got


def _smallest(case: Case) -> samples.Sizes:
    """Return a batch of one at typical sizes."""
    sizes = samples.typical(case.signature.dynamic, case.ranges)
    return {**sizes, case.signature.batch: 1} if case.signature.batch else sizes


def _plan(case: Case) -> Iterator[tuple[samples.Sizes, int]]:
    """Name the sizes and the seed of every sample."""
    batch = case.signature.batch if case.max_batch_size > 0 else None
    sizes_list = list(
        samples.sweep(
            case.signature.dynamic, case.ranges, batch=batch, max_batch_size=case.max_batch_size
        )
    )
    for seed, sizes in enumerate(sizes_list):
        yield sizes, seed
    for extra in range(_MORE_SEEDS):
        yield sizes_list[0], len(sizes_list) + extra


def _cannot_batch(case: Case) -> str | None:
    """Say why the signature cannot batch, None where it can."""
    if case.max_batch_size == 0:
        return "max_batch_size 0 was asked for"
    if case.signature.batch is not None:
        return None
    for kind, tensors in (("input", case.signature.inputs), ("output", case.signature.outputs)):
        for tensor in tensors:
            if not tensor.dims:
                return f"{kind} {tensor.name!r} is a scalar"
            if not isinstance(tensor.dims[0], str):
                return f"the first dimension of {kind} {tensor.name!r} is fixed at {tensor.dims[0]}"
    return "the first dimensions of the inputs are not the same one"


def _entangled(case: Case, run: Run) -> str | None:
    """Say why rows of a batch depend on each other, None where each could have come alone.

    A model that decides by its data is asked with many seeds: two rows that go the same way prove
    nothing.
    """
    batch = case.signature.batch
    if case.max_batch_size < 2 or batch is None:
        return None
    for seed in range(_SEEDS_FOR_BRANCHES if case.conditions else 1):
        sample = case.draw({**_smallest(case), batch: 2}, seed)
        reason = _depends(run, sample, case.tolerance)
        if reason is not None:
            return reason
    return None


def _depends(run: Run, sample: Arrays, tolerance: Tolerance) -> str | None:
    """Compare a batch of two with its rows one by one."""
    together = run(sample)
    for name, array in together.items():
        if array.ndim == 0 or len(array) != 2:
            return f"output {name!r} has {array.shape[:1]} rows for a batch of 2"
    rows = [run({name: array[row : row + 1] for name, array in sample.items()}) for row in (0, 1)]
    for name, array in together.items():
        if any(len(row[name]) != 1 or row[name].shape[1:] != array.shape[1:] for row in rows):
            return f"output {name!r} changes its shape with the batch"
    alone = {name: np.concatenate([row[name] for row in rows]) for name in together}
    report = gate.compare([(together, alone)], tolerance)
    worst = max(report.outputs, key=lambda output: output.needed_atol)
    if report.passed:
        return None
    return (
        "a row's result depends on the rest of its batch"
        f" (output {worst.name!r} differs by {worst.max_abs:.3g})"
    )


def _frozen(case: Case, run: Run, sizes: samples.Sizes, said: str) -> ExportError | GateError:
    """Find the dimension that alone makes the file fail, changing one at a time."""
    for name, size in sizes.items():
        try:
            run(case.draw({**case.export_sizes, name: size}, 0))
        except GraphError:
            at = case.export_sizes.get(name)
            return ExportError(
                f"dimension {name!r} was frozen at export: the file works at {at}, not at {size}",
                hint="compute with x.shape instead of fixed sizes; try --exporter dynamo; "
                f"or bound it with --range {name}=LOW..HIGH",
            )
    return GateError(said)


def _as_seen(stated: Signature, seen: Sequence[Seen]) -> Signature:
    """Return the signature whose fixed output dimensions are those that were seen."""
    outputs = []
    for tensor in stated.outputs:
        found = [(sizes, shapes[tensor.name]) for sizes, shapes in seen]
        dims = tuple(
            dim if isinstance(dim, str) else _seen_dim(tensor.name, axis, dim, found)
            for axis, dim in enumerate(tensor.dims)
        )
        outputs.append(replace(tensor, dims=dims))
    return replace(stated, outputs=tuple(outputs))


def _restate_outputs(case: Case) -> None:
    """Write the signature's output dimensions into the file.

    A server refuses a config whose output dims are not the file's, and a client is misled by both.
    """
    model = graph.load(case.path)
    graph.name_output_dims(model, {tensor.name: tensor.dims for tensor in case.signature.outputs})
    graph.write(model, case.path)


def _seen_dim(
    tensor: str, axis: int, stated: int, seen: Sequence[tuple[samples.Sizes, tuple[int, ...]]]
) -> Dim:
    """Return the stated size where it was always seen, else the dynamic dimension it follows."""
    found = [(sizes, shape[axis]) for sizes, shape in seen if axis < len(shape)]
    if all(size == stated for _, size in found):
        return stated
    for name in dict.fromkeys(name for sizes, _ in found for name in sizes):
        if all(sizes[name] == size for sizes, size in found):
            return name
    return f"{tensor}_{axis}"


def _branches(case: Case, reference: Run, run: Run) -> tuple[str, ...]:
    """Compare until both sides of every If have been taken; name those that never were."""
    names = case.conditions
    if not names:
        return ()
    missing = {(name, side) for name in names for side in (True, False)}
    sizes = _smallest(case)
    with graph.session(case.path, extra_outputs=names) as watched:
        for seed in range(_SEEDS_FOR_BRANCHES):
            sample = case.draw(sizes, seed)
            values = watched(sample)
            taken = {(name, bool(values[name].flat[0])) for name in names} & missing
            if taken:
                missing -= taken
                report = gate.compare([(reference(sample), run(sample))], case.tolerance)
                if not report.passed:
                    raise GateError(f"with another branch taken, {gate.summary(report)}")
            if not missing:
                break
    return tuple(
        f"no sample took the {'then' if side else 'else'} branch decided by {name!r};"
        " widen --domain so that the gate can see it"
        for name, side in sorted(missing)
    )
