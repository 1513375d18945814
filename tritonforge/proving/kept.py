"""What the original gives on every sample, asked for before the file is opened.

Two large models at a time are more than a machine may hold: the original gives all its answers
first, and leaves.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tritonforge import samples
from tritonforge.errors import GraphError
from tritonforge.progress import Progress
from tritonforge.proving.case import SEEDS_FOR_BRANCHES, Case, smallest
from tritonforge.tensors import Arrays, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filed:
    """An array whose numbers are in a file."""

    path: Path
    dtype: np.dtype
    shape: tuple[int, ...]


_Answer = dict[str, np.ndarray | _Filed] | GraphError


@contextmanager
def kept(
    case: Case,
    reference: Run,
    plan: Sequence[tuple[samples.Sizes, int]],
    progress: Progress,
    leave: Callable[[], None] | None,
) -> Iterator[Run]:
    """Yield the original, or where it is to `leave` its answers to all samples of a proof.

    A sample that a file fails on fails when it is asked for; a module's failure ends it at once.
    For another sample than those the original comes back.
    """
    if leave is None:
        yield reference
        return
    asked = [*plan, (smallest(case), 0)]
    if case.conditions or case.hidden_conditions:
        asked += [(smallest(case), seed) for seed in range(SEEDS_FOR_BRANCHES)]
    answers: dict[str, _Answer] = {}
    with tempfile.TemporaryDirectory(dir=case.path.parent) as folder:
        for number, (sizes, seed) in enumerate(asked):
            progress(f"asking the model for sample {number + 1} of {len(asked)}")
            sample = case.draw(sizes, seed)
            if (name := _name(sample)) not in answers:
                answers[name] = _answered(reference, sample, Path(folder, name))
        leave()

        def run(arrays: Arrays) -> Arrays:
            answer = answers.get(_name(arrays))
            if answer is None:
                return reference(arrays)
            if isinstance(answer, GraphError):
                raise answer
            return {name: _restored(each) for name, each in answer.items()}

        yield run


def _name(arrays: Arrays) -> str:
    """Return a name for a sample by its values."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        values = repr(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes()
        digest.update(f"{name}:{array.dtype}:{array.shape}:{len(values)};".encode() + values)
    return digest.hexdigest()


def _answered(reference: Run, sample: Arrays, place: Path) -> _Answer:
    """Ask the original; texts stay in memory, numbers go to files."""
    try:
        given = reference(sample)
    except GraphError as error:
        return error
    answer: dict[str, np.ndarray | _Filed] = {}
    for number, (name, array) in enumerate(given.items()):
        answer[name] = array
        if array.dtype.kind in "biufc":
            path = place.with_name(f"{place.name}-{number}")
            path.write_bytes(np.ascontiguousarray(array).data)
            answer[name] = _Filed(path=path, dtype=array.dtype, shape=array.shape)
    return answer


def _restored(held: np.ndarray | _Filed) -> np.ndarray:
    """Return an array from where it is kept."""
    if not isinstance(held, _Filed):
        return held
    return np.fromfile(held.path, held.dtype).reshape(held.shape)
