"""What is to be proven of a model, and on which samples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tritonforge import samples
from tritonforge.spec import Domain, Range, Tolerance
from tritonforge.tensors import Arrays, Signature

# So many more seeds are drawn to see both sides of every If.
SEEDS_FOR_BRANCHES = 24
# Sizes are swept with one seed each; these many further seeds run in a batch of one.
_MORE_SEEDS = 2
# So many more are drawn while an output has been empty in every sample, as detectors may have it.
SEEDS_FOR_FINDINGS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a proof needs to know of a model.

    `conditions` name the values that decide its If nodes; `hidden_conditions` counts the If nodes
    inside loops, branches and functions, whose values cannot be asked for. `noise` says by how much
    an output may differ for reasons of rounding alone, where that is more than usual.
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
    noise: Mapping[str, float] = field(default_factory=dict)

    @property
    def ranked(self) -> bool:
        """Say whether rows may be ranked: without a batch they are no requests of their own."""
        return self.signature.batch is None

    def draw(self, sizes: samples.Sizes, seed: int) -> Arrays:
        """Draw a sample of this model."""
        return samples.draw(self.signature.inputs, self.domains, sizes, self.sample_seed + seed)


def smallest(case: Case) -> samples.Sizes:
    """Return a batch of one at middling sizes."""
    sizes = samples.middling(case.signature.dynamic, case.ranges)
    return {**sizes, case.signature.batch: 1} if case.signature.batch else sizes


def plan_of(case: Case) -> Iterator[tuple[samples.Sizes, int]]:
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
        yield smallest(case), len(sizes_list) + extra
    yield from _recorded(case)


def _recorded(case: Case) -> Iterator[tuple[samples.Sizes, int]]:
    """Name each recorded sample once more, just as it is, as far as a server takes its batch."""
    tensors = {tensor.name: tensor for tensor in case.signature.inputs}
    told = {name: domain.values for name, domain in case.domains.items() if domain.values}
    count = max(map(len, told.values()), default=0)
    for number in range(count):
        sizes = dict(smallest(case))
        for name, values in told.items():
            pairs = zip(tensors[name].dims, values[number].shape, strict=True)
            sizes |= {dim: size for dim, size in pairs if isinstance(dim, str)}
        if case.signature.batch and case.max_batch_size:
            sizes[case.signature.batch] = min(sizes[case.signature.batch], case.max_batch_size)
        yield sizes, (number - case.sample_seed) % count
