"""Reading the text of a config as the server does, which is stricter than protobuf for Python.

`read` says all that keeps the server from reading a text, where each stands, and what the text
says as far as it can be read.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tritonforge.pbtxt.reading import ModelConfig
from tritonforge.pbtxt.strict.cursor import Stop
from tritonforge.pbtxt.strict.flaw import Flaw
from tritonforge.pbtxt.strict.mistaken import named
from tritonforge.pbtxt.strict.reader import Reader
from tritonforge.pbtxt.strict.templates import unfilled
from tritonforge.pbtxt.strict.words import character, place

__all__ = ["Flaw", "Reading", "character", "place", "read", "unfilled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a text says, as far as it can be read, and what is wrong with it, in reading order."""

    message: Any
    flaws: tuple[Flaw, ...]

    @property
    def is_known(self) -> bool:
        """Say whether the message is all that was meant, but for fields that nobody knows."""
        return all(each.is_taken or each.kind in {"unknown", "newer"} for each in self.flaws)


def read(text: bytes, triton: str | None = None) -> Reading:
    """Read a text as a version of Triton would, with None any that is known."""
    reader = Reader(text, triton)
    message = ModelConfig()
    with suppress(Stop):
        reader.whole(message)
    return Reading(message=message, flaws=_safe(named(text, reader.flaws)))


def _safe(flaws: Sequence[Flaw]) -> tuple[Flaw, ...]:
    """Return flaws, without their edits where the text is too broken to be edited."""
    if all(each.kind not in {"broken", "unfilled"} for each in flaws):
        return tuple(flaws)
    return tuple(replace(each, edits=()) for each in flaws)
