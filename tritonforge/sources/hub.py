"""Hugging Face's hub, asked only where it can be reached: its library is slow to give up."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 5.0  # seconds for an answer; one that is only late is waited for by the library
_PAUSE = 1.0  # seconds until it is tried again: a network may stumble once
# What says that no way leads there, by httpx's names: the library has it by more than one name.
_NO_WAY = frozenset({"ConnectError", "ConnectTimeout"})


@contextmanager
def reached() -> Iterator[None]:
    """Have its library ask the hub where that can be reached, and elsewhere the cache alone.

    Of itself it asks six times for each file, half a minute and more where no way leads there.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _is_there()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _is_there() -> bool:
    """Ask the hub, and once more where that was told soon: looking up its name knows no bound."""
    began = time.monotonic()
    return _answers() or (time.monotonic() - began < _PATIENCE and _answers(after=_PAUSE))


def _answers(*, after: float = 0.0) -> bool:
    """Say whether a way leads to the hub, proxies and mirrors included."""
    from huggingface_hub import constants, get_session

    time.sleep(after)
    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
    except Exception as error:  # noqa: BLE001 - what else is wrong the library says itself
        return type(error).__name__ not in _NO_WAY
    return True
