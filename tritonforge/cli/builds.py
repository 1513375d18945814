"""Builds of several models, told in the order in which they were asked for, and their summary."""

import re
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tritonforge.cli import built, output, view
from tritonforge.cli.group import shown_of
from tritonforge.errors import ForgeError, SpecError, VerdictError

if TYPE_CHECKING:
    from tritonforge.jobs import Job, Outcome

Ask = Callable[[str], "Job"]
Error = ForgeError | OSError
Explain = Callable[[str, Error], Error]

_END = re.compile(r"\n|[.;] ")  # of what a summary has room for
_VERDICTS = ("proven", "unchanged", "no", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """How the build of a source ended, and the error as a person is to see it."""

    source: str
    name: str
    outcome: "Outcome"
    error: Error | None

    @property
    def verdict(self) -> str:
        """Return one of the words that the summary counts."""
        if self.outcome.built is not None:
            return "unchanged" if self.outcome.built.unchanged else "proven"
        return "no" if isinstance(self.error, VerdictError) else "failed"

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Return its line of the summary; of an error the first sentence."""
        made, seconds = self.outcome.built, f"{self.outcome.seconds:7.1f}"
        if made is not None:
            dry = made.entry is None
            what = f"{self.verdict}, not published" if dry else self.verdict
            return made.name, str(made.version), seconds, what
        why = "" if self.error is None else shown_of(self.error).message
        first = _END.split(why, maxsplit=1)[0]
        return self.name, "", seconds, f"{self.verdict}: {first}"


def several(
    wanted: Sequence[str], ask: Ask, explain: Explain, count: int, output_format: str
) -> None:
    """Build models, up to `count` at once; where one fails the others go on.

    The exit code is 2 where something could not be done, else 1 where a verdict was no.
    """
    began = time.monotonic()
    asked = _asked(wanted, ask)
    names = [_name(job) or source for source, job in asked.items()]
    told: list[_Told] = []
    with (
        view.opened(names) as seen,
        closing(_in_order([*asked.values()], count, seen)) as outcomes,
    ):
        for place, outcome in outcomes:
            source, error = wanted[place], outcome.error
            error = None if error is None else explain(source, error)
            told.append(_Told(source=source, name=names[place], outcome=outcome, error=error))
            with seen.hidden():
                _tell(told[-1], is_json=output_format == "json")
    verdicts = [each.verdict for each in told]
    counts = {verdict: verdicts.count(verdict) for verdict in _VERDICTS}
    if output_format == "json":
        output.as_json({"builds": [_document(each) for each in told], "summary": counts})
    elif len(told) > 1:
        said = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
        click.echo(f"{len(told)} models in {time.monotonic() - began:.1f} s: {said}")
        columns = ("model", "version", "seconds", "what")
        output.table(columns, [each.row for each in told], left=4, wrap=True)
    if counts["failed"] or counts["no"]:
        click.get_current_context().exit(2 if counts["failed"] else 1)


def _asked(wanted: Sequence[str], ask: Ask) -> Mapping[str, "Job | ForgeError"]:
    """Return by source what is to be built, or why that cannot be said.

    Raises `SpecError` where one model would be built twice: who builds last is chance.
    """
    asked: dict[str, Job | ForgeError] = {}
    named: dict[str, str] = {}
    for source in wanted:
        if source in asked:
            raise SpecError(f"{source} is given twice", hint="give it once")
        try:
            asked[source] = ask(source)
        except ForgeError as error:
            asked[source] = error
        name = _name(asked[source])
        if name is not None and (other := named.setdefault(name, source)) != source:
            raise SpecError(
                f"{other} and {source} would both be the model {name!r}",
                hint="leave one out, or give it a table of its own in tritonforge.toml",
            )
    return asked


def _name(job: "Job | ForgeError") -> str | None:
    """Return what a model will be called, None where that cannot be told."""
    from tritonforge import sources

    try:
        return None if isinstance(job, ForgeError) else sources.model_name(job.spec)
    except ForgeError:  # it is told in its turn
        return None


def _in_order(
    asked: Sequence["Job | ForgeError"], count: int, seen: view.View
) -> Generator[tuple[int, "Outcome"]]:
    """Build, and yield how each ended as soon as all before it have.

    Where that is interrupted, what has ended out of its turn is yielded still.
    """
    from tritonforge import jobs

    places = [place for place, job in enumerate(asked) if not isinstance(job, ForgeError)]
    kept = {
        place: jobs.Outcome(seconds=0, error=error)
        for place, error in enumerate(asked)
        if isinstance(error, ForgeError)
    }
    todo = [job for job in asked if not isinstance(job, ForgeError)]
    following = 0
    running = jobs.run(todo, count, lambda number: seen.progress(places[number]))
    with closing(running):
        try:
            while following < len(asked):
                while following not in kept:
                    number, outcome = next(running)
                    kept[places[number]] = outcome
                    seen.end(places[number])
                yield following, kept.pop(following)
                following += 1
        except (KeyboardInterrupt, SystemExit):
            yield from sorted(kept.items())
            raise


def _tell(told: _Told, *, is_json: bool) -> None:
    """Say how a build ended; what its process has printed goes before."""
    outcome, error = told.outcome, told.error
    sys.stderr.write(outcome.printed)
    if outcome.built is not None and not is_json:
        built.tell(outcome.built, dry_run=outcome.built.entry is None)
    if error is None:
        return
    report = getattr(error, "report", None)
    if report is not None and not is_json:
        built.gate_table(report, f"{told.source}: the gate failed")
    sys.stderr.write(outcome.trace)
    shown_of(error, f"{told.source}: ").show()


def _document(told: _Told) -> dict[str, object]:
    """Return the stable JSON of a build, or of why there is none."""
    if told.error is not None:
        shown = shown_of(told.error)
        return built.failure(told.name, told.source, shown.message, shown.hint, told.error)
    assert told.outcome.built is not None  # noqa: S101 - one of the two is there
    return built.document(told.outcome.built)
