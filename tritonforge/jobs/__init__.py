"""Several builds: one after another in this process, or side by side in processes of their own."""

from collections.abc import Callable, Generator, Sequence

from tritonforge.jobs.job import Job, Outcome, attempt, carry_out
from tritonforge.progress import Progress

__all__ = ["Job", "Outcome", "attempt", "carry_out", "run"]


def run(
    jobs: Sequence[Job], count: int, progress: Callable[[int], Progress]
) -> Generator[tuple[int, Outcome]]:
    """Carry out all jobs, up to `count` at once; yield the place of each with how it ended.

    What fails is an outcome, and the others go on. `progress` gives each job, by its place, what it
    reports to. Close the iterator to end what still runs, with nothing of it left.
    """
    if count > 1 and len(jobs) > 1:
        from tritonforge.jobs.side import side_by_side

        yield from side_by_side(jobs, min(count, len(jobs)), progress)
        return
    for place, job in enumerate(jobs):
        yield place, attempt(job, progress(place))
