"""Every error that tritonforge raises on purpose.

::

    ForgeError                  exit 2: could not do it
    ├── SourceError             a source that is unknown, unreadable or whose weights cannot be had
    ├── ExportError             the exporter refused the model, or did not write what was asked
    ├── GraphError              an .onnx file that is broken, unsafe or beyond the target
    ├── SpecError               a wish that contradicts itself or cannot be parsed
    ├── ConfigError             a config.pbtxt that does not parse or does not fit its model
    ├── RepositoryError         a name, version, path or lock in the model repository
    ├── ToolchainError          the real binaries are missing, broken or cannot run here
    ├── ServerError             a server that did not start, died, or refused a model
    │   └── RefusedError        a server that answered a request with an error
    ├── PerfError               perf_analyzer could not measure
    └── VerdictError            exit 1: the work was done and the verdict is no
        └── GateError           the numbers differ by more than the tolerance
"""

from collections.abc import Iterable, Sequence
from os.path import commonprefix
from typing import ClassVar

_MOST_COMPARED = 500  # names
_LISTED = 10  # names in a sentence


class ForgeError(Exception):
    """Say in one sentence what went wrong; `hint` says what to do about it.

    `at` is the key of a spec that it is about, part by part, where it was said under one.
    """

    exit_code: ClassVar[int] = 2

    def __init__(
        self, message: str, *, hint: str | None = None, at: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.at = at


class SourceError(ForgeError):
    """A source that is unknown, unreadable or whose weights cannot be had."""


class ExportError(ForgeError):
    """The exporter refused the model, or did not write what was asked."""


class GraphError(ForgeError):
    """An `.onnx` file that is broken, unsafe or beyond the target."""


class SpecError(ForgeError):
    """A wish that contradicts itself or cannot be parsed."""


class ConfigError(ForgeError):
    """A `config.pbtxt` that does not parse or does not fit its model."""


class RepositoryError(ForgeError):
    """A name, version, path or lock in the model repository."""


class ToolchainError(ForgeError):
    """The real binaries are missing, broken or cannot run here."""


class ServerError(ForgeError):
    """A server that did not start, died, or refused a model."""


class RefusedError(ServerError):
    """A server that answered a request with an error, in its words."""


class PerfError(ForgeError):
    """`perf_analyzer` could not measure."""


class VerdictError(ForgeError):
    """The work was done and the verdict is no."""

    exit_code: ClassVar[int] = 1


class GateError(VerdictError):
    """The numbers differ by more than the tolerance; `report` holds them where there are any."""

    def __init__(self, message: str, *, hint: str | None = None, report: object = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


def _likely(name: str, known: list[str]) -> list[str]:
    """Return the names that may be near: of very many those that begin most alike."""
    if len(known) <= _MOST_COMPARED:
        return known

    def alike(each: str) -> int:
        return len(commonprefix((name, each)))  # noqa: RUF071 - of letters, not of folders

    return sorted(known, key=alike, reverse=True)[:_MOST_COMPARED]


def listed(names: Sequence[str]) -> str:
    """Name the first of many, and say how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the hint that names what was probably meant, None where nothing is near."""
    from difflib import get_close_matches  # not on the way to every help

    near = get_close_matches(name, _likely(name, [*known]), n=1)
    return f"did you mean {near[0]!r}?" if near else None
