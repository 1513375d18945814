"""Prove an `.onnx` file against the model it came from, and find out whether it can batch.

Between adapters and use cases: it composes samples, a session and the gate.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tritonforge import batching, gate, graph, samples
from tritonforge.errors import ExportError, GateError, GraphError
from tritonforge.progress import Progress
from tritonforge.spec import Domain, Range, Tolerance
from tritonforge.tensors import Arrays, Dim, Run, Signature

# So many more seeds are drawn to see both sides of every If.
_SEEDS_FOR_BRANCHES = 24
# Sizes are swept with one seed each; these many further seeds run at the smallest size.
_MORE_SEEDS = 2
# Batches whose rows are compared one by one: the largest, and then so many of two.
_BATCH_SEEDS = 3

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
    """What a proof needs to know of a model.

    `conditions` name the values that decide its If nodes; `hidden_conditions` counts the If nodes
    inside loops, branches and functions, whose values cannot be asked for.
    """

    path: Path
    signature: Signature
    conditions: tuple[str, ...]
    hidden_conditions: int = 0
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
        unbatched = _cannot_batch(case, run)
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
        notes=(*notes, *_says_little(report)),
    )


def _says_little(report: gate.GateReport) -> Iterator[str]:
    """Name the outputs of which the gate saw nothing, though both sides agree on that."""
    for each in report.outputs:
        if each.elements == 0:
            yield f"output {each.name!r} was empty in every sample: nothing of it was compared"
        elif each.not_finite:
            yield (
                f"{each.not_finite} of {each.elements} values of output {each.name!r} are NaN or"
                " infinite, in the model itself too; does --domain suit it?"
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
        try:
            want, got = reference(sample), run(sample)
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


def _cannot_batch(case: Case, run: Run) -> str | None:
    """Say why the model cannot batch, None where it can; the largest batch speaks for all.

    Two rows that go the same way prove nothing, so a model that decides by its data is asked with
    many seeds.
    """
    if case.max_batch_size == 0:
        return "max_batch_size 0 was asked for"
    batch = case.signature.batch
    if batch is None or case.max_batch_size == 1:
        return batching.refused(case.signature)
    seeds = _SEEDS_FOR_BRANCHES if case.conditions or case.hidden_conditions else _BATCH_SEEDS
    for seed in range(seeds):
        rows = 2 if seed else case.max_batch_size
        sample = case.draw({**_smallest(case), batch: rows}, seed)
        reason = batching.entangled(run, sample, case.tolerance)
        if reason is not None:
            return reason
    return None


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
    missing = {(name, side) for name in case.conditions for side in (True, False)}
    seeds = _SEEDS_FOR_BRANCHES if missing or case.hidden_conditions else 0
    for seed in range(seeds):
        sample = case.draw(_smallest(case), seed)
        taken = _taken(case, sample) & missing
        if taken or case.hidden_conditions:
            missing -= taken
            report = gate.compare([(reference(sample), run(sample))], case.tolerance)
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
