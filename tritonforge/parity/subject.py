"""One version under comparison: its samples, and the shapes on the wire."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tritonforge import client, graph, manifest, pbtxt, samples, served
from tritonforge.client import Asking, Place
from tritonforge.endpoint import Endpoint
from tritonforge.parity.reference import Pair, Reference, compared_with, golden_of, no_golden
from tritonforge.parity.sequence import Sequences
from tritonforge.repository import Entry
from tritonforge.samples import Sizes
from tritonforge.spec import Domain, Range, Tolerance
from tritonforge.tensors import Arrays, Run, Signature

# A request, and its place where the config has sequences; and those that are sent in a row.
Turn = tuple[Arrays, Place | None]
Turns = Sequence[Turn]

_LENGTH = 4  # of a sequence: a start, an end and what lies between


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is asked of a version.

    `reference` is None where only the golden sample counts, `golden` where there is none; both
    hold the outputs of the signature alone. `proven` is the tolerance that the version passed with,
    `noise` what an output may differ by for its own rounding.
    `altered` names files that are not those that were built, None where none were built here.
    `wire` holds, for a tensor that the config reshapes, the dims beside the batch that a client
    sees, and those of the model.
    `sequences` says what the server gives the model beside a request, None where it has none; the
    inputs of `signature` are those that a client sends.
    """

    entry: Entry
    signature: Signature
    domains: Mapping[str, Domain]
    ranges: Mapping[str, Range]
    max_batch_size: int
    batches: bool
    wire: Mapping[str, tuple[pbtxt.Dims, pbtxt.Dims]]
    golden: Pair | None
    reference: Run | None
    sequences: Sequences | None
    proven: Tolerance
    noise: Mapping[str, float]
    altered: tuple[str, ...] | None
    seed: int

    @property
    def ranked(self) -> bool:
        """Say whether rows may be ranked: without a batch they are no requests of their own."""
        return self.signature.batch is None

    def tolerance(self, said: Tolerance) -> Tolerance:
        """Return the tolerance that is asked for, each part of it else the proven one."""
        return Tolerance(
            atol=self.proven.atol if said.atol is None else said.atol,
            rtol=self.proven.rtol if said.rtol is None else said.rtol,
            half=self.proven.half,
        )

    def samples(self) -> Iterator[Turns]:
        """Draw samples over batch sizes and the sizes of every other dynamic dimension.

        A sequence has one size; the last one is of a single request.
        """
        batch = self.signature.batch if self.max_batch_size > 0 else None
        largest = self.max_batch_size if self.sequences is None else min(1, self.max_batch_size)
        ranges = {"batch": Range(high=16), **self.ranges}
        sweep = list(
            samples.sweep(self.signature.dynamic, ranges, batch=batch, max_batch_size=largest)
        )
        for number, sizes in enumerate(sweep):
            yield self._turns(sizes, number, _LENGTH)
        if self.sequences is not None:
            yield self._turns(sweep[0], len(sweep), 1)

    def single(self, number: int) -> Turns:
        """Draw a request of one row, or a sequence of them; one of many that are sent at once."""
        sizes = samples.typical(self.signature.dynamic, self.ranges)
        if self.max_batch_size > 0 and self.signature.batch is not None:
            sizes[self.signature.batch] = 1
        return self._turns(sizes, 1000 + number, _LENGTH)

    def _turns(self, sizes: Sizes, number: int, length: int) -> Turns:
        """Draw what is sent in a row: one request, or a sequence of `length` under an id."""
        inputs, first = self.signature.inputs, self.seed + number
        if self.sequences is None:
            return ((samples.draw(inputs, self.domains, sizes, first), None),)
        places = self.sequences.places(length)
        seeds = itertools.count(first * _LENGTH)
        return tuple(
            (samples.draw(inputs, self.domains, sizes, seed), place)
            for seed, place in zip(seeds, places, strict=False)
        )

    def answers(self, turns: Turns) -> list[Arrays]:
        """Ask the reference for requests that are sent in a row."""
        assert self.reference is not None  # noqa: S101 - the caller asks only where there is one
        if self.sequences is None:
            found = [self.reference(arrays) for arrays, _ in turns]
        else:
            found = self.sequences.follow(self.reference, turns)
        names = [each.name for each in self.signature.outputs]
        return [{name: answer[name] for name in names} for answer in found]

    @contextmanager
    def remote(self, endpoint: Endpoint, protocol: str) -> Iterator[Asking]:
        """Open the served version as a `Run` that speaks the model's shapes, not the wire's."""
        protocol_name: Any = protocol
        with client.remote(
            endpoint,
            self.entry.model,
            version=self.entry.version,
            protocol=protocol_name,
            timeout=client.PATIENCE_SECONDS,
        ) as ask:
            if not self.wire:
                yield ask
                return

            def run(arrays: Arrays, place: Place | None = None) -> Arrays:
                sent = {
                    name: self._reshaped(array, *reversed(self.wire[name]))
                    if name in self.wire
                    else array
                    for name, array in arrays.items()
                }
                return {
                    name: self._reshaped(got, *self.wire[name]) if name in self.wire else got
                    for name, got in ask(sent, place).items()
                }

            yield run

    def _reshaped(self, array: np.ndarray, have: pbtxt.Dims, want: pbtxt.Dims) -> np.ndarray:
        """Give an array of the dims `have`, beside the batch, the dims `want`."""
        batch = array.shape[:1] if self.max_batch_size > 0 else ()
        return array.reshape(batch + pbtxt.reshaped(array.shape[len(batch) :], have, want))


@contextmanager
def opened(entry: Entry, config: Any, reference: Reference, seed: int) -> Iterator[Subject]:
    """Read what is known of a version and open its reference while the block runs.

    `config` is what it is served under. Raises `RepositoryError` for a golden sample that is asked
    for but absent, `SourceError` where the torch model cannot be made again, `ConfigError` for
    sequences that cannot be followed.
    """
    known = manifest.read(entry.version_dir)
    path = served.model_path(entry)
    model = graph.load(path)
    sequences = Sequences.of(config, entry.model_dir)
    signature = _narrowed(graph.signature(model), config, sequences)
    golden = golden_of(entry, signature) if known is not None and sequences is None else None
    if reference == "golden" and golden is None:
        raise no_golden(entry, in_sequences=sequences is not None)
    with compared_with(entry, known, reference, path) as run:
        yield Subject(
            entry=entry,
            signature=signature,
            domains=known.domains if known else graph.domains(model),
            ranges=known.ranges if known else {},
            max_batch_size=config.max_batch_size,
            batches=config.max_batch_size > 1 and config.HasField("dynamic_batching"),
            wire=_wire(config, signature),
            golden=golden,
            reference=run,
            sequences=sequences,
            proven=known.tolerance if known else Tolerance(),
            noise=known.gate.noise if known else {},
            altered=manifest.altered(known, entry.version_dir) if known else None,
            seed=seed,
        )


def _narrowed(signature: Signature, config: Any, sequences: Sequences | None) -> Signature:
    """Fix the dimensions that the config narrows; leave out what clients neither send nor get."""
    listed = {
        entry.name: list(entry.dims) for entry in config.input if not entry.HasField("reshape")
    }
    kept = {entry.name for entry in config.output}
    skip = 1 if config.max_batch_size > 0 else 0
    added = sequences.inputs if sequences is not None else frozenset()
    inputs = []
    for tensor in (each for each in signature.inputs if each.name not in added):
        dims = listed.get(tensor.name, [])
        if len(dims) + skip == len(tensor.dims):
            fixed = (*tensor.dims[:skip], *map(_narrow, tensor.dims[skip:], dims))
            tensor = replace(tensor, dims=fixed)  # noqa: PLW2901 - the same tensor, narrowed
        inputs.append(tensor)
    outputs = tuple(each for each in signature.outputs if not kept or each.name in kept)
    return Signature(inputs=tuple(inputs), outputs=outputs)


def _narrow(dim: int | str, configured: int) -> int | str:
    """Return the smaller choice of the two."""
    return configured if isinstance(dim, str) and configured > 0 else dim


def _wire(config: Any, signature: Signature) -> dict[str, tuple[pbtxt.Dims, pbtxt.Dims]]:
    """Return what clients see, and the model, where that is not the same: reshapes and scalars."""
    scalars = {each.name for each in (*signature.inputs, *signature.outputs) if not each.dims}
    return {
        entry.name: (tuple(entry.dims), tuple(entry.reshape.shape))
        for entry in (*config.input, *config.output)
        if entry.HasField("reshape") or entry.name in scalars
    }
