"""Parity: whether a server gives what the model gives.

The golden sample first, then fresh samples over batch sizes and shapes, then many at once, so that
the server merges them into batches; each over every protocol that the server speaks.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from tritonforge import gate
from tritonforge.endpoint import Endpoint
from tritonforge.errors import ForgeError, GateError
from tritonforge.parity import subject
from tritonforge.parity.load import Batching, together
from tritonforge.parity.subject import Reference, Subject
from tritonforge.progress import Progress, silent
from tritonforge.repository import Entry, Repository
from tritonforge.serving import serving
from tritonforge.spec import Tolerance

__all__ = ["Batching", "Check", "ParityReport", "Reference", "Wish", "parity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to compare with (`onnx`, `torch` or `golden`), how exactly, and from which seed."""

    version: int | None = None
    reference: Reference = "onnx"
    tolerance: Tolerance = field(default_factory=Tolerance)
    sample_seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison: `golden`, `sizes` or `concurrent`, over one protocol.

    `refused` holds what kept it from being made, in the server's words.
    """

    name: str
    protocol: str
    report: gate.GateReport | None
    refused: str | None = None

    @property
    def passed(self) -> bool:
        """Say whether it was made and every output agreed."""
        return self.report is not None and self.report.passed


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """All checks of one version. `batching` is None where the config does not batch.

    `error` says why nothing could be checked. `rehearsal` marks a GPU config served on CPU.
    """

    model: str
    version: int
    reference: str
    rehearsal: bool
    checks: tuple[Check, ...] = ()
    batching: Batching | None = None
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Say whether everything was checked and agreed, and batches were executed where due."""
        merged = self.batching is None or self.batching.merged
        return bool(self.checks) and merged and all(check.passed for check in self.checks)


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

    Without `endpoint` an embedded server of our own serves them; `rehearsed` then gets the
    difference of a config that was changed to run on CPU. Raises any `ForgeError` that concerns all
    models; what concerns one is in its report.
    """
    entries = repository.select(models, wish.version)
    reports = []
    for index, entry in enumerate(entries):

        def share(what: str, done: float | None = None, index: int = index) -> None:
            progress(what, None if done is None else (index + done) / len(entries))

        try:
            with subject.opened(entry, wish.reference, wish.sample_seed) as each:
                place = nullcontext(endpoint) if endpoint else _served(each, rehearsed, share)
                with place as at:
                    reports.append(_report(each, at, wish, share))
        except ForgeError as error:  # the other models are compared all the same
            if len(entries) == 1:
                raise
            reports.append(_failed(entry, wish, error.message))
    return tuple(reports)


@contextmanager
def _served(
    each: Subject, rehearsed: Callable[[str], None], progress: Progress
) -> Iterator[Endpoint]:
    """Serve one version on a server of its own."""
    with serving(
        each.entry.model_dir.parent,
        models=[each.entry.model],
        version=each.entry.version,
        rehearsed=rehearsed,
        progress=progress,
    ) as endpoint:
        yield endpoint


def _report(each: Subject, endpoint: Endpoint, wish: Wish, progress: Progress) -> ParityReport:
    """Make every check of one version."""
    checks: list[Check] = []
    batching: Batching | None = None
    for protocol in endpoint.protocols:
        progress(f"{each.entry.model}: parity over {protocol}")
        checks += _one_by_one(each, endpoint, protocol, wish.tolerance)
        if each.reference is None:
            continue
        progress(f"{each.entry.model}: many requests at once over {protocol}")
        pairs, counted = together(each, endpoint, protocol)
        checks.append(_check("concurrent", protocol, pairs, wish.tolerance))
        batching = counted if batching is None else batching.add(counted)
    return ParityReport(
        model=each.entry.model,
        version=each.entry.version,
        reference=wish.reference,
        rehearsal=endpoint.rehearsal,
        checks=tuple(checks),
        batching=batching if each.batches else None,
    )


def _one_by_one(
    each: Subject, endpoint: Endpoint, protocol: str, tolerance: Tolerance
) -> Iterator[Check]:
    """Compare the golden sample and the sweep of sizes, one request at a time."""
    with each.remote(endpoint, protocol) as ask:
        if each.golden is not None:
            inputs, outputs = each.golden
            yield _check("golden", protocol, [(outputs, ask(inputs))], tolerance)
        if each.reference is not None:
            reference = each.reference
            sizes = ((reference(sample), ask(sample)) for sample in each.samples())
            yield _check("sizes", protocol, sizes, tolerance)


def _check(name: str, protocol: str, pairs: Iterable[subject.Pair], tolerance: Tolerance) -> Check:
    """Compare; an answer that cannot be compared is a verdict too, in the gate's words."""
    try:
        return Check(name=name, protocol=protocol, report=gate.compare(pairs, tolerance))
    except GateError as error:
        return Check(name=name, protocol=protocol, report=None, refused=error.message)


def _failed(entry: Entry, wish: Wish, reason: str) -> ParityReport:
    """Report a version of which nothing could be checked."""
    return ParityReport(
        model=entry.model,
        version=entry.version,
        reference=wish.reference,
        rehearsal=False,
        error=reason,
    )
