"""Rules applied one by one: what one of them cannot judge is told, and the others go on."""

import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tritonforge.check.report import Failure, Finding
from tritonforge.rules import Found, Rule

MOST = 100  # findings of a rule in a model: nobody reads more, and each has to be found in its text
_MOST_OF_ALL = 10_000  # of a rule in a repository: each costs time, told or not


def judged(
    applied: Iterable[Rule],
    subject: Any,
    name: str,
    made: Callable[[Rule, Found], Finding],
    failures: list[Failure],
) -> Iterator[Finding]:
    """Yield what rules find of a subject, of each the first `MOST` in a model.

    `made` says where in which file it is; `name` is the model's, where the subject is of one. A
    rule that raises what nobody foresaw is taken down as a failure.
    """
    for rule in applied:
        counts: dict[str, int] = {}
        try:
            for number, found in enumerate(rule.judge(subject)):
                model = found.model or name
                counts[model] = counts.get(model, 0) + 1
                if counts[model] <= MOST:
                    yield made(rule, found)
                if number >= _MOST_OF_ALL or (name and counts[model] >= MOST):
                    break
        except Exception as error:  # noqa: BLE001 - of one rule; that of others is not lost for it
            failures.append(failure(error, name, rule.code))


def failure(error: Exception, model: str, code: str | None = None) -> Failure:
    """Describe what nobody foresaw, with the place in the code where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    said = (str(error).strip().splitlines() or [""])[0][:200]
    return Failure(model=model, code=code, said=f"{type(error).__name__}: {said}{at}")
