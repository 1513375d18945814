"""The outputs that a proof has seen: their dimensions, and how much their numbers say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tritonforge import gate, graph, ranking, samples
from tritonforge.errors import ExportError, ForgeError
from tritonforge.proving.case import Case, smallest
from tritonforge.spec import Tolerance
from tritonforge.tensors import Arrays, Dim, Run, Signature

# So many times the reference's own error is still rounding.
_NOISE_FACTOR = 4.0
# Beyond this share of an output's largest value its numbers mean nothing, and no gate can pass.
_LARGEST_NOISE = 0.05

# The sizes of a sample and the shapes of the outputs it gave.
Seen = tuple[samples.Sizes, Mapping[str, tuple[int, ...]]]


def as_seen(stated: Signature, seen: Sequence[Seen]) -> Signature:
    """Return the signature whose fixed output dimensions are those that were seen."""
    outputs = []
    for tensor in stated.outputs:
        found = [(sizes, shapes[tensor.name]) for sizes, shapes in seen]
        dims = tuple(
            dim if isinstance(dim, str) else _seen_dim(tensor.name, axis, found)
            for axis, dim in enumerate(tensor.dims)
        )
        outputs.append(replace(tensor, dims=dims))
    return replace(stated, outputs=tuple(outputs))


def _seen_dim(tensor: str, axis: int, seen: Sequence[tuple[samples.Sizes, tuple[int, ...]]]) -> Dim:
    """Return the size where it was always the same, else the dynamic dimension it follows."""
    found = [(sizes, shape[axis]) for sizes, shape in seen if axis < len(shape)]
    if len(constant := {size for _, size in found}) == 1:
        return constant.pop()
    for name in dict.fromkeys(name for sizes, _ in found for name in sizes):
        if all(sizes[name] == size for sizes, size in found):
            return name
    return f"{tensor}_{axis}"


def is_all_found(seen: Sequence[Seen]) -> bool:
    """Say whether each output had elements in some sample."""
    names = {name for _, shapes in seen for name in shapes}
    return all(any(0 not in shapes[name] for _, shapes in seen) for name in names)


def golden_of(
    case: Case, reference: Run, report: gate.GateReport, seeds: int
) -> tuple[Arrays, Arrays]:
    """Return a sample of one row and the answer, if possible one with all that was ever found."""
    found = {each.name for each in report.outputs if each.elements}
    for seed in range(seeds):
        sample = case.draw(smallest(case), seed)
        answer = reference(sample)
        if all(answer[name].size for name in found):
            return sample, answer
    sample = case.draw(smallest(case), 0)
    return sample, reference(sample)


def restate(case: Case) -> None:
    """Write the signature's output dimensions into the file.

    A server refuses a config whose output dims are not those that ONNX Runtime infers, and inner
    shapes that an exporter froze along with the output would have it infer the old ones: they go.
    Raises `ExportError` where it still infers others.
    """
    model = graph.load(case.path)
    graph.name_output_dims(model, {tensor.name: tensor.dims for tensor in case.signature.outputs})
    del model.graph.value_info[:]
    graph.write(model, case.path)
    known = graph.output_dims(case.path)
    for tensor in case.signature.outputs:
        for dim, inferred in zip(tensor.dims, known[tensor.name], strict=True):
            if isinstance(dim, str) and isinstance(inferred, int):
                raise ExportError(
                    f"output {tensor.name!r} has {dim!r} where ONNX Runtime infers {inferred}"
                    " from the file, so no server would take its config",
                    hint="try another --exporter, or fix that dimension with --input",
                )


def is_steady(case: Case, reference: Run) -> bool:
    """Say whether the reference gives the same twice."""
    sample = case.draw(smallest(case), 0)
    return gate.compare([(reference(sample), reference(sample))], Tolerance(atol=0, rtol=0)).passed


def finds(case: Case, reference: Run) -> bool:
    """Say whether a model gives rows in the order of a score, as detectors do."""
    if not case.ranked:
        return False
    try:
        return ranking.is_ranked(reference(case.draw(smallest(case), 0)))
    except ForgeError:  # told when it is proven
        return False


def noise_of(
    case: Case,
    reference: Run,
    exact: Callable[[], Run],
    plan: Sequence[tuple[samples.Sizes, int]],
) -> dict[str, float]:
    """Return how far each output may lie from the reference for reasons of rounding alone.

    Another order of the same sums errs as much as the reference does against double precision; the
    largest of many such errors is allowed a few times over, as long as it is small beside the
    output. Empty where the model cannot be run in double precision.
    """
    errors: dict[str, float] = {}
    sizes_of: dict[str, float] = {}
    try:
        run = exact()
        for sizes, seed in plan:
            sample = case.draw(sizes, seed)
            want, true = reference(sample), run(sample)
            if case.ranked:
                true = ranking.nearest(want, true)
            for name, array in want.items():
                if _is_measurable(array, true[name]):
                    error = float(np.abs(array.astype(np.float64) - true[name]).max())
                    errors[name] = max(errors.get(name, 0.0), error)
                    sizes_of[name] = max(sizes_of.get(name, 0.0), float(np.abs(true[name]).max()))
    except ForgeError:
        return {}
    return {
        name: _NOISE_FACTOR * error
        for name, error in errors.items()
        if _NOISE_FACTOR * error < _LARGEST_NOISE * sizes_of[name]
    }


def _is_measurable(array: np.ndarray, true: np.ndarray) -> bool:
    """Say whether an output can be held against the one in double precision."""
    same = array.shape == true.shape and array.size > 0
    return same and array.dtype.kind == "f" and bool(np.isfinite(true).all())


def says_noise(report: gate.GateReport, noise: Mapping[str, float]) -> Iterator[str]:
    """Name the outputs that were judged by their own exactness."""
    for each in report.outputs:
        if 0 < each.atol == noise.get(each.name):
            error = each.atol / _NOISE_FACTOR
            yield (
                f"output {each.name!r} of the model itself is {error:.2g} away from double"
                " precision; it was judged by that"
            )


def says_little(report: gate.GateReport) -> Iterator[str]:
    """Name the outputs of which the gate saw nothing, though both sides agree on that."""
    for each in report.outputs:
        if each.elements == 0:
            yield (
                f"output {each.name!r} was empty in every sample: nothing of it was compared; give"
                " --sample in which the model finds something"
            )
        elif each.not_finite:
            yield (
                f"{each.not_finite} of {each.elements} values of output {each.name!r} are NaN or"
                " infinite, in the model itself too; does --domain suit it?"
            )
