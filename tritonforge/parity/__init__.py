"""Parity: whether a server gives what the model gives.

The files against the manifest and the golden sample first, then fresh samples over batch sizes and
shapes, then many at once, so that the server merges them into batches; over every protocol that
the server speaks.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from tritonforge import client, gate
from tritonforge.client import Asking
from tritonforge.endpoint import Endpoint
from tritonforge.errors import ForgeError, GateError, RefusedError
from tritonforge.parity import configured, load, subject
from tritonforge.parity.load import Batching, together
from tritonforge.parity.reference import Pair, Reference
from tritonforge.parity.subject import Subject, Turns
from tritonforge.progress import Progress, share, silent
from tritonforge.release import Release
from tritonforge.repository import Entry, Repository
from tritonforge.serving import serving
from tritonforge.spec import Tolerance
from tritonforge.tensors import Arrays

__all__ = ["Batching", "Check", "ParityReport", "Reference", "Wish", "parity"]

_SEEDS = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to compare with (`onnx`, `torch` or `golden`), how exactly, and from which seed.

    A part of the tolerance that is None is the one that the version was proven with. `target` is
    the release whose ONNX Runtime serves, None for the one that the version was built for.
    """

    version: int | None = None
    target: Release | None = None
    reference: Reference = "onnx"
    tolerance: Tolerance = field(default_factory=Tolerance)
    sample_seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison: `golden`, `sizes` or `concurrent`, over one protocol; or `files`, over none.

    `refused` holds what kept it from being made, in the words of the server or the gate, or which
    files are not those that were built.
    """

    name: str
    protocol: str | None
    report: gate.GateReport | None
    refused: str | None = None

    @property
    def passed(self) -> bool:
        """Say whether it was made and every output, or file, agreed."""
        return self.refused is None and (self.report is None or self.report.passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """All checks of one version. `batching` is None where the config does not batch.

    `error` says why nothing could be checked. `embedded` marks a server of our own, `rehearsal` a
    GPU config served on CPU. `triton` and `onnxruntime` are the server's versions, None where it
    does not tell.
    """

    model: str
    version: int
    reference: str
    embedded: bool
    rehearsal: bool = False
    triton: str | None = None
    onnxruntime: str | None = None
    checks: tuple[Check, ...] = ()
    batching: Batching | None = None
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Say whether everything was checked and agreed, and batches were executed where due.

        A server that is not ours may answer from a cache, or be too quick for requests to meet.
        """
        merged = self.batching is None or self.batching.merged or not self.embedded
        return bool(self.checks) and merged and all(check.passed for check in self.checks)

    @property
    def uncompared(self) -> tuple[str, ...]:
        """Name the outputs that were empty in every sample of every check."""
        outputs = [each for check in self.checks if check.report for each in check.report.outputs]
        compared = {each.name for each in outputs if each.elements}
        return tuple(dict.fromkeys(each.name for each in outputs if each.name not in compared))


def parity(
    repository: Repository,
    models: tuple[str, ...],
    wish: Wish,
    *,
    endpoint: Endpoint | None = None,
    rehearsed: Callable[[str], None],
    progress: Progress = silent,
) -> tuple[ParityReport, ...]:
    """Compare each model with its reference, all models of the repository where none is named.

    Without a version those are compared that the model's version policy has served.
    Without `endpoint` an embedded server of our own serves them; `rehearsed` then gets the
    difference of a config that was changed to run on CPU. Raises any `ForgeError` that concerns all
    models; what concerns one is in its report.
    """
    entries = configured.entries(repository, models, wish.version)
    reports = []
    for index, entry in enumerate(entries):
        part = share(progress, index, len(entries))
        try:
            config = configured.stated(entry)
            place = nullcontext(endpoint) if endpoint else _served(entry, wish, rehearsed, part)
            with place as at:
                config = configured.completed(entry, at) if config is None else config
                with subject.opened(entry, config, wish.reference, wish.sample_seed) as each:
                    report = _report(each, at, wish, part, embedded=endpoint is None)
        except ForgeError as error:  # the other models are compared all the same
            if len(entries) == 1:
                raise
            report = _failed(entry, wish, error.message, embedded=endpoint is None)
        reports.append(report)
    return tuple(reports)


@contextmanager
def _served(
    entry: Entry, wish: Wish, rehearsed: Callable[[str], None], progress: Progress
) -> Iterator[Endpoint]:
    """Serve one version on a server of its own."""
    with serving(
        entry.model_dir.parent,
        models=[entry.model],
        version=entry.version,
        target=wish.target,
        rehearsed=rehearsed,
        progress=progress,
    ) as endpoint:
        yield endpoint


def _report(
    each: Subject, endpoint: Endpoint, wish: Wish, progress: Progress, *, embedded: bool
) -> ParityReport:
    """Make every check of one version."""
    tolerance = each.tolerance(wish.tolerance)
    triton = client.identity(endpoint).version or None
    checks = [] if each.altered is None else [_files(each.altered)]
    batching: Batching | None = None
    # What an earlier run or the other protocol has asked a response cache would answer, unbatched.
    first = 0 if embedded else secrets.randbelow(_SEEDS)
    for protocol in endpoint.protocols:
        progress(f"{each.entry.model}: parity over {protocol}")
        checks += _one_by_one(each, endpoint, protocol, tolerance)
        if each.reference is None:
            continue
        progress(f"{each.entry.model}: many requests at once over {protocol}")
        try:
            pairs, counted = together(each, endpoint, protocol, first)
        except RefusedError as error:
            checks.append(_refused("concurrent", protocol, error))
        else:
            checks.append(_check("concurrent", protocol, pairs, tolerance, each))
            batching = counted if batching is None else batching.add(counted)
        first += load.REQUESTS
    return ParityReport(
        model=each.entry.model,
        version=each.entry.version,
        reference=wish.reference,
        embedded=embedded,
        rehearsal=endpoint.rehearsal,
        triton=triton,
        onnxruntime=endpoint.onnxruntime,
        checks=tuple(checks),
        batching=batching if each.batches else None,
    )


def _files(altered: tuple[str, ...]) -> Check:
    """Tell altered files: what is read here is then no witness of what was built."""
    said = "; ".join(f"{name} is not the file that was built" for name in altered)
    return Check(name="files", protocol=None, report=None, refused=said or None)


def _one_by_one(
    each: Subject, endpoint: Endpoint, protocol: str, tolerance: Tolerance
) -> Iterator[Check]:
    """Compare the golden sample and the sweep of sizes, one request at a time."""
    with each.remote(endpoint, protocol) as ask:
        if each.golden is not None:
            inputs, outputs = each.golden
            golden = _pairs([((inputs, None),)], lambda _: [outputs], ask)
            yield _check("golden", protocol, golden, tolerance, each)
        if each.reference is not None:
            sizes = _pairs(each.samples(), each.answers, ask)
            yield _check("sizes", protocol, sizes, tolerance, each)


def _pairs(
    samples: Iterable[Turns], reference: Callable[[Turns], list[Arrays]], ask: Asking
) -> Iterator[Pair]:
    """Ask both for each sample: for the whole of a sequence, which may not idle meanwhile."""
    for turns in samples:
        yield from zip(reference(turns), load.in_a_row(ask, turns), strict=True)


def _check(
    name: str,
    protocol: str,
    pairs: Iterable[Pair],
    tolerance: Tolerance,
    each: Subject,
) -> Check:
    """Compare; no answer, or one that cannot be compared, is a verdict too."""
    try:
        report = gate.compare(pairs, tolerance, each.noise, ranked=each.ranked)
        return Check(name=name, protocol=protocol, report=report)
    except (GateError, RefusedError) as error:
        return _refused(name, protocol, error)


def _refused(name: str, protocol: str, error: ForgeError) -> Check:
    """Return a check that could not be made, in the words of the gate or the server."""
    return Check(name=name, protocol=protocol, report=None, refused=error.message)


def _failed(entry: Entry, wish: Wish, reason: str, *, embedded: bool) -> ParityReport:
    """Report a version of which nothing could be checked."""
    return ParityReport(
        model=entry.model,
        version=entry.version,
        reference=wish.reference,
        embedded=embedded,
        error=reason,
    )
