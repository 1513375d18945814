"""What to send to a model under load: samples that fit what the server takes."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from tritonforge import client, graph, manifest, pbtxt, samples, served
from tritonforge.endpoint import Endpoint
from tritonforge.errors import ConfigError, GraphError, SpecError
from tritonforge.repository import Repository
from tritonforge.spec import Domain, Range
from tritonforge.tensors import Arrays, TensorSpec

Shapes = Mapping[str, tuple[int, ...]]

# Several samples, so that no cache answers; no more than perf_analyzer should hold beside a window.
_SAMPLES = 16
_SAMPLE_BYTES = 64 << 20
_ALONE = client.Place(sequence=1 + secrets.randbelow(1 << 30), start=True, end=True)


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read a `--shape` such as `ids:128` or `x:3,224,224`; raises `SpecError`."""
    name, colon, sizes = text.rpartition(":")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not colon or not name or not shape or min(shape) < 1:
        raise SpecError(
            f"cannot read --shape {text!r}", hint="write x:3,224,224, without the batch"
        )
    return name, shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is wished of the inputs.

    `shapes` fixes some, batch dimension left out, as `--shape` of `perf_analyzer`; `version` None
    is the newest that is served; `batch_size` is samples a request.
    """

    version: int | None = None
    shapes: Shapes = field(default_factory=dict)
    batch_size: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Samples for a served version, and how many bytes `perf_analyzer` keeps of a request.

    The samples have no batch dimension where the server batches. What is kept is one sample's
    inputs, however many a request holds, and all its outputs.
    """

    version: int
    samples: tuple[Arrays, ...]
    request_bytes: int


def prepare(
    repository: Repository,
    model: str,
    draft: Draft,
    *,
    endpoint: Endpoint,
    protocol: Literal["http", "grpc"],
) -> Prepared:
    """Make samples from what the version's files tell, else from what the server says.

    A first request proves them: what is wrong with them the server says itself. Raises `SpecError`
    for a draft that does not fit, `ServerError` with the server's words.
    """
    said = client.metadata(endpoint, model, version=draft.version)
    if not said.inputs:
        raise SpecError(f"{model!r} takes no inputs, perf_analyzer cannot drive it")
    # The file of the config does not tell: the server may have completed it.
    config = pbtxt.from_json(client.config(endpoint, model, version=draft.version))
    batches, in_sequences = config.max_batch_size > 0, config.HasField("sequence_batching")
    _check_batch(model, draft, batches=batches, in_sequences=in_sequences)
    version = draft.version or max((int(each) for each in said.versions), default=1)
    inputs = _inputs(repository, model, version, said.inputs)
    drawn = _samples(inputs, draft, batches=batches)
    with client.remote(
        endpoint, model, version=version, protocol=protocol, timeout=client.PATIENCE_SECONDS
    ) as ask:
        outputs = ask(_request(inputs, draft, batches=batches), _ALONE if in_sequences else None)
    return Prepared(
        version=version, samples=drawn, request_bytes=_bytes(drawn[0]) + _bytes(outputs)
    )


def _check_batch(model: str, draft: Draft, *, batches: bool, in_sequences: bool) -> None:
    """Raise `SpecError` for more samples a request than the server takes in any."""
    if draft.batch_size > 1 and (in_sequences or not batches):
        why = "is served in sequences, one sample a request" if in_sequences else "does not batch"
        raise SpecError(f"{model!r} {why}, so --batch-size can only be 1")


def _request(inputs: "_Inputs", draft: Draft, *, batches: bool) -> Arrays:
    """Draw one request as it is sent."""
    tensors = inputs.sized(draft.shapes, draft.batch_size if batches else None)
    return samples.draw(tensors, inputs.domains, {}, draft.seed)


def _samples(inputs: "_Inputs", draft: Draft, *, batches: bool) -> tuple[Arrays, ...]:
    """Draw as many samples as are worth keeping."""
    tensors = inputs.sized(draft.shapes)
    if batches:
        tensors = tuple(replace(tensor, dims=tensor.dims[1:]) for tensor in tensors)
    one = samples.draw(tensors, inputs.domains, {}, draft.seed)
    count = max(1, min(_SAMPLES, _SAMPLE_BYTES // max(_bytes(one), 1)))
    seeds = range(draft.seed + 1, draft.seed + count)
    return one, *(samples.draw(tensors, inputs.domains, {}, seed) for seed in seeds)


def _bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())


def _inputs(
    repository: Repository, model: str, version: int, taken: tuple[TensorSpec, ...]
) -> "_Inputs":
    """Return what the server takes, with what the version's files tell of it where they lie here.

    A manifest says what the inputs mean; without one the graph tells at least which numbers index
    a table, and which dimensions are the same.
    """
    said: tuple[TensorSpec, ...] = ()
    domains: Mapping[str, Domain] = {}
    ranges: Mapping[str, Range] = {}
    if model in repository.models() and version in repository.versions(model):
        entry = repository.entry(model, version)
        known = manifest.read(entry.version_dir)
        if known is not None:
            said, domains, ranges = known.signature.inputs, known.domains, known.ranges
        else:
            # the server serves it, so plain samples may do
            with suppress(GraphError, ConfigError):
                loaded = graph.load(served.model_path(entry))
                said, domains = graph.signature(loaded).inputs, graph.domains(loaded)
    named = {(each.name, each.dtype, len(each.dims)): each for each in said}
    tensors = tuple(named.get((each.name, each.dtype, len(each.dims)), each) for each in taken)
    return _Inputs(tensors=tensors, domains=domains, ranges=ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What a model takes: tensors with their first dimension, what they hold and how large."""

    tensors: tuple[TensorSpec, ...]
    domains: Mapping[str, Domain]
    ranges: Mapping[str, Range]

    @property
    def may_batch(self) -> bool:
        """Say whether each input's first dimension is dynamic, as it is where Triton batches."""
        return all(tensor.dims and isinstance(tensor.dims[0], str) for tensor in self.tensors)

    def sized(self, shapes: Shapes, rows: int | None = None) -> tuple[TensorSpec, ...]:
        """Return the tensors with every size fixed: by `shapes`, else a middling one.

        `rows` is the size of the first dimension where no shape says it. A size holds wherever its
        dimension's name comes again. Raises `SpecError` for a shape that does not fit.
        """
        unknown = set(shapes) - {tensor.name for tensor in self.tensors}
        if unknown:
            named = ", ".join(tensor.name for tensor in self.tensors)
            raise SpecError(f"--shape names no input {min(unknown)!r}", hint=f"there is {named}")
        own = {
            tensor.name: _sizes(tensor, shapes[tensor.name], may_batch=self.may_batch)
            for tensor in self.tensors
            if tensor.name in shapes
        }
        names = [name for tensor in self.tensors for name in tensor.dynamic]
        shared = dict(samples.typical(names, self.ranges))
        if rows is not None:
            shared |= {str(tensor.dims[0]): rows for tensor in self.tensors}
        for sizes in own.values():
            shared |= sizes
        return tuple(
            replace(tensor, dims=tensor.shape({**shared, **own.get(tensor.name, {})}))
            for tensor in self.tensors
        )


def _sizes(tensor: TensorSpec, shape: tuple[int, ...], *, may_batch: bool) -> dict[str, int]:
    """Return the size that a `--shape` gives to each dynamic dimension of its tensor."""
    without_batch = may_batch and len(shape) == len(tensor.dims) - 1
    dims = tensor.dims[1:] if without_batch else tensor.dims
    if len(dims) != len(shape) or any(
        isinstance(dim, int) and dim != size for dim, size in zip(dims, shape, strict=True)
    ):
        raise SpecError(
            f"--shape {tensor.name}:{','.join(map(str, shape))} does not fit {tensor}",
            hint="leave the batch dimension out",
        )
    pairs = zip(dims, shape, strict=True)
    return {dim: size for dim, size in pairs if isinstance(dim, str)}
