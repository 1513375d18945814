"""What was wished of a model's inputs, held against the inputs that it has."""

from dataclasses import replace

from tritonforge import graph
from tritonforge.errors import SpecError
from tritonforge.sources import Loaded
from tritonforge.spec import ModelSpec
from tritonforge.tensors import Signature


def with_sizes(spec: ModelSpec, loaded: Loaded) -> ModelSpec:
    """Wish for the sizes that the source knows, of dimensions that no range is stated for."""
    dynamic = Signature(inputs=loaded.inputs, outputs=()).dynamic
    known = {name: each for name, each in loaded.ranges.items() if name in dynamic}
    return replace(spec, ranges=tuple({**known, **dict(spec.ranges)}.items()))


def with_samples(spec: ModelSpec, loaded: Loaded) -> ModelSpec:
    """Read the recorded samples and wish for what they hold: their values, and their sizes.

    A size that `--range` states holds. Raises `SpecError` for a sample that does not fit the model,
    and for an input that `--domain` names too.
    """
    if not spec.samples:
        return spec
    signature = Signature(inputs=loaded.inputs, outputs=())
    if loaded.path is not None:
        signature = graph.signature(graph.load(loaded.path))
    domains, ranges = graph.recorded(spec.samples, signature)
    for name, _ in spec.domains:
        if name in domains:
            raise SpecError(
                f"--domain and --sample both say what {name!r} holds",
                hint="leave one of them out",
                at=("inputs", name, "domain"),
            )
    return replace(
        spec,
        domains=(*spec.domains, *domains.items()),
        ranges=tuple({**ranges, **dict(spec.ranges)}.items()),
    )


def still(spec: ModelSpec, said: ModelSpec, signature: Signature) -> ModelSpec:
    """Take back what source and samples wished for inputs that are gone; what was said stays."""
    inputs = {tensor.name for tensor in signature.inputs}
    return replace(
        spec,
        ranges=tuple(
            each for each in spec.ranges if each in said.ranges or each[0] in signature.dynamic
        ),
        domains=tuple(each for each in spec.domains if each in said.domains or each[0] in inputs),
    )


def check_ranges(spec: ModelSpec, signature: Signature) -> None:
    """Raise `SpecError` where `--range` or `--domain` names what the model does not have."""
    inputs = tuple(tensor.name for tensor in signature.inputs)
    batch = dict(spec.ranges).get(signature.batch or "")
    if batch is not None and (batch.low, batch.high) != (1, spec.max_batch_size):
        raise SpecError(
            f"--range cannot bound {signature.batch!r}, which is the batch",
            hint="bound it with --max-batch-size; what engines are tuned for is said by"
            f" --range {signature.batch}=1..{spec.max_batch_size}@8",
            at=("ranges", str(signature.batch)),
        )
    for option, key, pairs, known in (
        ("--range", "ranges", spec.ranges, signature.dynamic),
        ("--domain", "inputs", spec.domains, inputs),
    ):
        for name, _ in pairs:
            if name not in known:
                raise SpecError(
                    f"{option} names {name!r}, which the model does not have",
                    hint=f"it has {', '.join(known) or 'none'}",
                    at=(key, name),
                )
