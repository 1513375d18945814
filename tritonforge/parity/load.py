"""Many requests at once, so that the server merges them; and its own count of what it executed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from tritonforge import client
from tritonforge.client import Asking, Statistics
from tritonforge.endpoint import Endpoint
from tritonforge.errors import RefusedError, ServerError
from tritonforge.parity.reference import Pair
from tritonforge.parity.subject import Subject, Turns
from tritonforge.tensors import Arrays

# A quick model may answer each request before the next one comes, so each client sends several in a
# row, and the burst is repeated until the server has merged some.
_CLIENTS, _IN_A_ROW, _ROUNDS = 16, 3, 8
# All samples and answers of a burst are held until they are compared: of a segmenter's, fewer.
_BURST_BYTES = 256 << 20
_COUNT_SECONDS = 2.0
# How much of the time after which a server forgets a sequence may be spent on waiting for others;
# the rest is for a machine that gets busier than it was when one was timed.
_IDLE_SHARE = 0.3
_SLOW_SECONDS = 0.1  # of one answer
REQUESTS = _ROUNDS * _CLIENTS * _IN_A_ROW  # of one protocol, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """What the server counted while many asked at once: samples, and runs of the model."""

    inferences: int
    executions: int
    largest: int

    @property
    def merged(self) -> bool:
        """Say whether any batch above one was executed."""
        return self.largest > 1

    def add(self, other: "Batching") -> "Batching":
        """Sum two counts."""
        return Batching(
            inferences=self.inferences + other.inferences,
            executions=self.executions + other.executions,
            largest=max(self.largest, other.largest),
        )


def in_a_row(ask: Asking, turns: Turns) -> list[Arrays]:
    """Ask one after the other; a refusal names the shapes that were refused.

    It ends the sequence too, which would keep others from its slot until it has idled.
    """
    answers = []
    for arrays, place in turns:
        try:
            answers.append(ask(arrays, place))
        except RefusedError as error:
            if place is not None and not place.end:
                with suppress(ServerError):
                    ask(arrays, replace(place, start=False, end=True))
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
            raise RefusedError(f"{error.message} (asked with {shapes})") from error
    return answers


def together(
    each: Subject, endpoint: Endpoint, protocol: str, first: int
) -> tuple[list[Pair], Batching]:
    """Ask from many clients at once, again until a batch was executed where the config batches.

    Every answer is compared with the reference of its own sample, so a mix-up of rows shows. The
    samples are drawn from seeds from `first` on. Raises `RefusedError` for a request.
    """
    pairs: list[Pair] = []
    clients, each_sends = _crowd(each, endpoint, protocol, first)
    start = _count(each, endpoint)
    counted = Batching(inferences=0, executions=0, largest=0)
    for turn in range(_ROUNDS):
        count = clients * each_sends
        asked = [each.single(first + turn * count + number) for number in range(count)]
        answers = _burst(each, endpoint, protocol, asked, clients)
        wants = [want for turns in asked for want in each.answers(turns)]
        pairs += zip(wants, answers, strict=True)
        counted = _difference(each, endpoint, start, expected=len(pairs))
        if counted.merged or not each.batches:
            break
    return pairs, counted


def _crowd(each: Subject, endpoint: Endpoint, protocol: str, first: int) -> tuple[int, int]:
    """Return how many clients to send from, and how many requests each sends in a row.

    Sequences wait for each other, at worst for all others whole, so of slow ones there are fewer.
    Requests of a slow model meet though each client sends one.
    """
    turns = each.single(first)
    started = time.monotonic()
    answers = each.answers(turns)
    seconds = time.monotonic() - started
    said = (*(arrays for arrays, _ in turns), *answers)
    # the reference's answer beside the server's
    held = 2 * sum(array.nbytes for arrays in said for array in arrays.values())
    clients = _CLIENTS
    if each.sequences is not None:
        with each.remote(endpoint, protocol) as run:
            started = time.monotonic()
            in_a_row(run, turns)
            seconds = time.monotonic() - started
        clients = max(1, min(clients, int(_IDLE_SHARE * each.sequences.idle / seconds)))
    if held * clients * _IN_A_ROW <= _BURST_BYTES and seconds < _SLOW_SECONDS:
        return clients, _IN_A_ROW
    return min(clients, max(2, _BURST_BYTES // max(held, 1))), 1


def _burst(
    each: Subject, endpoint: Endpoint, protocol: str, asked: list[Turns], clients: int
) -> list[Arrays]:
    """Send the samples from `clients` with a thread and connection each, at the same moment.

    The answers come in the order of the samples.
    """
    ready = threading.Barrier(clients, timeout=60)

    def ask(mine: list[Turns]) -> list[Arrays]:
        try:
            with each.remote(endpoint, protocol) as run:
                ready.wait()
                return [answer for turns in mine for answer in in_a_row(run, turns)]
        except threading.BrokenBarrierError as error:
            raise ServerError("the clients could not start together") from error
        except ServerError:
            ready.abort()  # let the others go at once
            raise

    share = len(asked) // clients
    shares = [asked[start : start + share] for start in range(0, len(asked), share)]
    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(ask, mine) for mine in shares]
        errors = [error for future in futures if (error := future.exception()) is not None]
        for error in sorted(errors, key=lambda error: "together" in str(error)):
            raise error
        return [answer for future in futures for answer in future.result()]


def _count(each: Subject, endpoint: Endpoint) -> Statistics:
    """Ask for the server's counts."""
    return client.statistics(endpoint, each.entry.model, version=each.entry.version)


def _difference(each: Subject, endpoint: Endpoint, start: Statistics, *, expected: int) -> Batching:
    """Return what has been counted since `start`; the server answers first and counts then."""
    deadline = time.monotonic() + _COUNT_SECONDS
    while True:
        now = _count(each, endpoint)
        if now.requests - start.requests >= expected or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    before = {batch.size: batch.count for batch in start.batches}
    grown = [b.size for b in now.batches if b.count > before.get(b.size, 0)]
    return Batching(
        inferences=now.inferences - start.inferences,
        executions=now.executions - start.executions,
        largest=max(grown, default=0),
    )
