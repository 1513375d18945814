"""How often `tritonforge check` says what the real server does, over generated repositories.

    python tests/agreement.py [--share X] [--seed S] [--verdicts FILE] [--write DIR] [--only NAME]

Each case is a repository: one of every kind that a config can say, changed somewhere. The embedded
server is asked to load it; the rules are asked whether it would. What depends on a GPU, on backends
or on what else is installed is judged apart, and named. With `--verdicts` the server's words are
kept, so that a second run asks only for new cases; `--write` writes the cases that disagree out as
folders to look at, `--only NAME` runs one case again.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import apart
import fitted
import misspelt
import mutants
import specimens
from accord import Result, report
from judging import Verdict, judged
from repertoire import REPOSITORIES
from specimens import Case, place

from tritonforge import release
from tritonforge.check import Finding, check
from tritonforge.repository import Repository

TARGET = "24.10"
Dice = random.Random
Maker = Callable[[str, Dice], Case]
# How many of each kind: changed repositories, of those more ensembles, files and configs to match,
# texts.
COUNTS = {"m": 1000, "e": 250, "f": 250, "t": 150}
_WIRED = [name for name in REPOSITORIES if name.startswith(("wired_", "ensemble_"))]
_STEADY = [name for name in REPOSITORIES if not name.startswith(("odd_", "bare_", "wired_"))]


def cases(seed: int, counts: Mapping[str, int]) -> Iterator[Case]:
    """Make every repository as it is, then so many of each of `KINDS`."""
    for index, base in enumerate(REPOSITORIES):
        yield specimens.case(base, f"b{index}")
    for kind, count in counts.items():
        for index in range(count):
            dice = random.Random(f"{kind}:{seed}:{index}")  # noqa: S311 - the same every time
            yield KINDS[kind](f"{kind}{seed}{index:06}", dice)


def _changed(bases: Sequence[str], change: Callable[[Case, Dice], None]) -> Maker:
    """Return what draws a repository and changes it."""

    def made(name: str, dice: Dice) -> Case:
        case = specimens.case(dice.choice(bases), name)
        change(case, dice)
        return case

    return made


KINDS: Mapping[str, Maker] = {
    "m": _changed(_STEADY, mutants.mutate),
    "e": _changed(_WIRED, mutants.mutate),
    "f": fitted.case,
    "t": _changed(_STEADY, misspelt.misspell),
}


def refusals(case: Case) -> tuple[Finding, ...]:
    """Return what the rules say that a server would refuse, of the models that it would load."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        place(case, root)
        # A process of its own for each would take longer than all that it is asked.
        report = check(Repository(root), target=release.find(TARGET), sheltered=False)
    reached = _reached(case)
    return tuple(
        each
        for each in report.findings
        if each.rule.severity == "refused" and each.model in reached
    )


def _reached(case: Case) -> set[str]:
    """Return the models that a load of the main one loads."""
    found, waiting = set(), [case.main]
    while waiting:
        name = waiting.pop()
        if name in found or name not in case.models:
            continue
        found.add(name)
        config = case.models[name].config
        if config is not None:
            waiting += [step.model_name for step in config.ensemble_scheduling.step]
    return found


def compared(every: Sequence[Case], kept: Path | None = None) -> Iterator[Result]:
    """Yield what server and rules say of each case."""
    for case, verdict in zip(every, judged(map(apart.rehearsed, every), kept), strict=True):
        yield result(case, verdict)


def result(case: Case, verdict: Verdict) -> Result:
    """Ask the rules about a case that the server has judged."""
    error, found = "", ()
    try:
        found = refusals(case)
    except Exception as failure:  # noqa: BLE001 - a check that fails is what is looked for
        error = f"{type(failure).__name__}: {failure}"
    rehearsed = apart.rehearsed(case) is not case
    if rehearsed:
        found = tuple(each for each in found if not apart.of_gpu(each))
    return Result(
        case=case,
        verdict=verdict,
        refusals=found,
        error=error,
        excluded=apart.reason(case, verdict),
        rehearsed=rehearsed,
    )


def main() -> None:
    """Compare, print the report, and write cases out where that is asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--share", type=float, default=1, help="of 1,650 cases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verdicts", type=Path, help="keep what the server says here")
    parser.add_argument("--write", type=Path, help="write the cases that disagree here")
    parser.add_argument("--only", help="one case, by its name")
    given = parser.parse_args()
    counts = {kind: round(count * given.share) for kind, count in COUNTS.items()}
    every = list(cases(given.seed, counts))
    if given.only:
        every = [each for each in every if each.name == given.only]
    begun = time.monotonic()
    results = list(compared(every, given.verdicts))
    sys.stdout.write(f"{len(results)} cases, seed {given.seed}, {time.monotonic() - begun:.0f} s\n")
    sys.stdout.write(f"{report(results)}\n")
    for each in results if given.write else ():
        if not each.excluded and (not each.agrees or given.only):
            shutil.rmtree(given.write / each.case.name, ignore_errors=True)
            place(each.case, given.write / each.case.name)


if __name__ == "__main__":
    main()
