"""Measure models under load: on an embedded server of their own, or on one that runs already."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from tritonforge import client, health, instances, perf, toolchain
from tritonforge.endpoint import Endpoint
from tritonforge.errors import ForgeError, ServerError, SpecError
from tritonforge.measure.inputs import Draft, Shapes, prepare
from tritonforge.perf import Counters, Failure, Load, PerfPlan, PerfReport, Tool, interrupted
from tritonforge.progress import Progress, share, silent
from tritonforge.release import Release
from tritonforge.repository import Repository
from tritonforge.serving import serving

_UNHEALTHY = "is not healthy"  # what python_backend says of a process that has died
_FORGOTTEN = "must specify the START flag"  # what Triton says of a sequence that it does not know
_IDLE = (
    "requests of a sequence lie further apart than max_sequence_idle_microseconds, after which the"
    " server forgets it: raise that in config.pbtxt"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to measure with: a load, a protocol (None: HTTP where it can be had) and inputs.

    `shapes` fixes inputs, batch dimension left out, as `--shape` of `perf_analyzer`; `version` None
    is the newest. `target` is the release whose ONNX Runtime serves, None for the one that the
    version was built for.
    """

    load: Load
    version: int | None = None
    target: Release | None = None
    protocol: Literal["http", "grpc"] | None = None
    shapes: Shapes = field(default_factory=dict)
    sample_seed: int = 0

    @property
    def draft(self) -> Draft:
        """Return what is wished of the inputs."""
        return Draft(
            version=self.version,
            shapes=self.shapes,
            batch_size=self.load.batch_size,
            seed=self.sample_seed,
        )


def measure(
    repository: Repository,
    models: tuple[str, ...],
    wish: Wish,
    *,
    endpoint: Endpoint | None = None,
    rehearsed: Callable[[str], None],
    progress: Progress = silent,
) -> tuple[PerfReport, ...]:
    """Measure each model at every level; all models of the repository where none is named.

    Without `endpoint` each has an embedded server to itself, so that none takes another's cores;
    `rehearsed` then gets the difference of a config that was changed to run on CPU. What fails is
    in the reports, beside what was measured; ^C ends it with the reports that there are, where
    there are any. Raises `RepositoryError` for a model that is not
    there, and where there is but one model whatever keeps it from being measured: `SpecError` for a
    wish that does not fit it, `ServerError`, `ConfigError`.
    """
    names = tuple(dict.fromkeys(models))
    if endpoint is None or not names:
        names = tuple(entry.model for entry in repository.select(names, wish.version))
    reports: list[PerfReport] = []
    for index, model in enumerate(names):
        part = share(progress, index, len(names))
        subject = _Subject(repository=repository, model=model, wish=wish)
        try:
            if endpoint is not None:
                report = _report(subject, endpoint, part)
            else:
                report = _alone(subject, rehearsed, part)
        except ForgeError as error:  # the other models are measured all the same
            if len(names) == 1:
                raise
            report = _failed(subject, _failures(subject, error.message))
        except KeyboardInterrupt:  # what has been measured is reported all the same
            if not reports:
                raise
            report = _failed(subject, interrupted(wish.load.concurrencies))
        reports.append(report)
        if report.interrupted:
            break
    return tuple(reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """One model to measure."""

    repository: Repository
    model: str
    wish: Wish


def _alone(subject: _Subject, rehearsed: Callable[[str], None], progress: Progress) -> PerfReport:
    """Measure one model on a server of its own; what the server died of is in the report."""
    report: PerfReport | None = None
    try:
        with serving(
            subject.repository.path,
            models=[subject.model],
            version=subject.wish.version,
            target=subject.wish.target,
            rehearsed=rehearsed,
            progress=progress,
        ) as endpoint:
            report = _report(subject, endpoint, progress)
    except ServerError as error:
        if report is None or not report.levels:
            raise
        because = tuple(
            replace(failure, reason=error.message) if failure.unserved else failure
            for failure in report.failures
        )
        return replace(report, failures=because)
    return report


def _report(subject: _Subject, endpoint: Endpoint, progress: Progress) -> PerfReport:
    """Measure one model where it is served."""
    wish = subject.wish
    protocol, address = _asked(wish, endpoint)
    ready = prepare(
        subject.repository, subject.model, wish.draft, endpoint=endpoint, protocol=protocol
    )
    plan = PerfPlan(
        model=subject.model,
        version=ready.version,
        address=address,
        protocol=protocol,
        request_bytes=ready.request_bytes,
        load=wish.load,
    )
    triton = client.identity(endpoint).version or None
    watch = instances.Watch(endpoint.pid)
    analyzer = toolchain.perf_analyzer(progress=progress)
    levels, failures = perf.run(
        plan,
        Tool(program=analyzer.program, environment=analyzer.environment),
        samples=ready.samples,
        statistics=lambda: _count(endpoint, subject.model, ready.version),
        alive=lambda: health.alive(endpoint),
        progress=progress,
    )
    return PerfReport(
        model=subject.model,
        version=ready.version,
        protocol=protocol,
        batch_size=wish.load.batch_size,
        levels=levels,
        failures=_explained(failures, watch.died()),
        triton=triton,
        onnxruntime=endpoint.onnxruntime,
        rehearsal=endpoint.rehearsal,
    )


def _asked(wish: Wish, endpoint: Endpoint) -> tuple[Literal["http", "grpc"], str]:
    """Return by which protocol the server is asked, and where; raises `SpecError`."""
    protocol = wish.protocol or ("http" if "http" in endpoint.protocols else "grpc")
    address: str | None = getattr(endpoint, protocol)
    if address is None:
        raise SpecError(
            f"no {protocol} address is known for this server", hint=f"add --url {protocol}://…"
        )
    return protocol, address


def _explained(failures: tuple[Failure, ...], died: tuple[str, ...]) -> tuple[Failure, ...]:
    """Say with each failure what is behind it: an instance that died, a forgotten sequence."""
    return tuple(replace(failure, reason=_with_cause(failure.reason, died)) for failure in failures)


def _with_cause(reason: str, died: tuple[str, ...]) -> str:
    """Add to a reason what is known of its cause."""
    if _FORGOTTEN in reason:
        return f"{reason} ({_IDLE})"
    if died and _UNHEALTHY in reason:
        return f"{reason} ({'; '.join(died)})"
    return reason


def _failed(subject: _Subject, failures: tuple[Failure, ...]) -> PerfReport:
    """Return the report of a model of which no level could be measured."""
    load = subject.wish.load
    return PerfReport(
        model=subject.model,
        version=subject.wish.version,
        protocol=subject.wish.protocol,
        batch_size=load.batch_size,
        levels=(),
        failures=failures,
    )


def _failures(subject: _Subject, reason: str) -> tuple[Failure, ...]:
    """Return the same failure for every level."""
    levels = subject.wish.load.concurrencies
    return tuple(Failure(concurrency=level, reason=reason) for level in levels)


def _count(endpoint: Endpoint, model: str, version: int) -> Counters:
    """Look at what the server has counted for a version."""
    said = client.statistics(endpoint, model, version=version)
    return Counters(**{each.name: getattr(said, each.name) for each in fields(Counters)})
