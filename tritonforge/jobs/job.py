"""One build of several: what is asked, and how it ended."""

import time
import traceback
from dataclasses import dataclass

from tritonforge.build import Built, build
from tritonforge.errors import ForgeError
from tritonforge.progress import Progress
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec
from tritonforge.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a build is asked, see `build.build`."""

    spec: ModelSpec
    repository: Repository
    version: int | None = None
    force: bool = False
    standing: Standing = "stop"
    dry_run: bool = False
    rebuild: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a build ended: what it made, or why it did not.

    `trace` tells where a mistake of tritonforge's own happened, `printed` is what a process of its
    own wrote meanwhile.
    """

    seconds: float
    built: Built | None = None
    error: ForgeError | OSError | None = None
    trace: str = ""
    printed: str = ""


def carry_out(job: Job, progress: Progress) -> Built:
    """Build; raises what `build` raises."""
    return build(
        job.spec,
        job.repository,
        version=job.version,
        force=job.force,
        standing=job.standing,
        dry_run=job.dry_run,
        rebuild=job.rebuild,
        progress=progress,
    )


def attempt(job: Job, progress: Progress) -> Outcome:
    """Build, and return what is raised, so that other builds go on; ^C is raised."""
    began = time.monotonic()
    built: Built | None = None
    failed: ForgeError | OSError | None = None
    trace = ""
    try:
        built = carry_out(job, progress)
    except ForgeError as error:
        failed = _known(error)
    except OSError as error:
        failed = _plain(error)
    except MemoryError:
        failed = ForgeError(
            "there is not enough memory to build it",
            hint="build where more is free, or fewer at once",
        )
    except Exception as error:  # noqa: BLE001 - a mistake of ours costs one model, not forty
        if isinstance(error.__cause__, KeyboardInterrupt):  # in the import of a C extension
            raise KeyboardInterrupt from None
        failed = ForgeError(f"{type(error).__name__}: {error}")
        trace = traceback.format_exc()
    seconds = time.monotonic() - began
    return Outcome(seconds=seconds, built=built, error=failed, trace=trace)


def _known(error: ForgeError) -> ForgeError:
    """Return an error that another process can read: adapters make kinds of their own, of torch."""
    ours = ForgeError.__module__
    kind: type[ForgeError] = next(each for each in type(error).__mro__ if each.__module__ == ours)
    same = kind is type(error)
    return error if same else kind(error.message, hint=error.hint, at=error.at)


def _plain(error: OSError) -> ForgeError | OSError:
    """Return an error that another process can read: libraries make kinds of their own."""
    if error.errno is None:
        return ForgeError(str(error) or type(error).__name__)
    places = [None if each is None else str(each) for each in (error.filename, error.filename2)]
    return OSError(error.errno, error.strerror or str(error), places[0], None, places[1])
