"""What to send to a model under load: samples that fit what the server takes."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from tritonforge import client, graph, manifest, samples, served
from tritonforge.endpoint import Endpoint
from tritonforge.errors import ConfigError, GraphError, ServerError, SpecError
from tritonforge.repository import Repository
from tritonforge.spec import Domain, Range
from tritonforge.tensors import Arrays, Run, TensorSpec

Shapes = Mapping[str, tuple[int, ...]]

# Several samples, so that no cache answers; no more than perf_analyzer should hold beside a window.
_SAMPLES = 16
_SAMPLE_BYTES = 64 << 20
_COUNT_SECONDS = 2.0
_ONE_ROW = "batch-size must be <= 1"  # triton-inference-server/core, `infer_request.cc`


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
    version = draft.version or max((int(each) for each in said.versions), default=1)
    inputs = _inputs(repository, model, version, said.inputs)
    with client.remote(
        endpoint, model, version=version, protocol=protocol, timeout=client.PATIENCE_SECONDS
    ) as ask:
        before = client.statistics(endpoint, model, version=version)
        outputs, rows = _first(inputs, draft, ask)
        # The file of the config does not tell: the server may have completed it.
        batches = rows == 1 or (rows is not None and _counts_rows(endpoint, model, version, before))
        drawn = _samples(inputs, draft, batches=batches)
        if batches:
            kept = _bytes(outputs) * draft.batch_size // (rows or 1)
        elif draft.batch_size > 1:
            raise ServerError(f"{model!r} does not batch, so --batch-size can only be 1")
        else:
            kept = _bytes(outputs if rows is None else ask(drawn[0]))
    return Prepared(version=version, samples=drawn, request_bytes=_bytes(drawn[0]) + kept)


def _counts_rows(endpoint: Endpoint, model: str, version: int, before: client.Statistics) -> bool:
    """Say whether a request of several rows, just answered, counted as several inferences.

    Where nothing batches it counts as one. The server answers first and counts then, so wait for
    it; one that never counts has a response cache, and what may batch is taken to.
    """
    deadline = time.monotonic() + _COUNT_SECONDS
    while time.monotonic() < deadline:
        now = client.statistics(endpoint, model, version=version)
        inferences, requests = now.inferences - before.inferences, now.requests - before.requests
        if inferences > 0 and requests > 0:
            return inferences > requests
        time.sleep(0.01)
    return True


def _samples(inputs: "_Inputs", draft: Draft, *, batches: bool) -> tuple[Arrays, ...]:
    """Draw as many samples as are worth keeping."""
    tensors = inputs.sized(draft.shapes)
    if batches:
        tensors = tuple(replace(tensor, dims=tensor.dims[1:]) for tensor in tensors)
    one = samples.draw(tensors, inputs.domains, {}, draft.seed)
    count = max(1, min(_SAMPLES, _SAMPLE_BYTES // max(_bytes(one), 1)))
    seeds = range(draft.seed + 1, draft.seed + count)
    return one, *(samples.draw(tensors, inputs.domains, {}, seed) for seed in seeds)


def _first(inputs: "_Inputs", draft: Draft, ask: Run) -> tuple[Arrays, int | None]:
    """Make a first request; return its answer and its rows, None where nothing can batch.

    The server's count of it then says whether requests are batched, hence two rows or more; one
    row only where the server batches and takes no more.
    """
    rows = max(2, draft.batch_size) if inputs.may_batch else None
    try:
        return _ask(inputs, draft, ask, rows), rows
    except ServerError as error:
        if draft.batch_size > 1 or _ONE_ROW not in error.message:
            raise
        return _ask(inputs, draft, ask, 1), 1


def _ask(inputs: "_Inputs", draft: Draft, ask: Run, rows: int | None) -> Arrays:
    """Send one request of `rows` samples."""
    tensors = inputs.sized(draft.shapes, rows)
    return ask(samples.draw(tensors, inputs.domains, {}, draft.seed))


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
