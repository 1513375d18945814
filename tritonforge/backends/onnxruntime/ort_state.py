"""The implicit state of running sequences, kept from one request to the next.

Triton's core keeps it where a backend hands it back, for which the Python backend has no call. The
core adds the initial state to every request, though; that is used when a sequence starts. Where the
config names no `initial_state` it is whatever lay in the memory, here as there.
"""

import time

from ort_batch import RequestError

_START, _END = 1, 2  # flags of a request, from Triton's `tritonserver.h`
_DEFAULT_IDLE_MICROSECONDS = 1_000_000  # core `constants.h`


class StateError(RequestError):
    """A sequence whose state is not known."""


class States:
    """The states of an instance's sequences; the core runs each sequence in one instance."""

    def __init__(self, states, config):
        """Learn which outputs become which inputs and how many sequences may run at once."""
        batching = config["sequence_batching"]
        self._inputs = {state.output: state.name for state in states}
        self.outputs = list(self._inputs)
        self._idle = 1e-6 * int(
            batching.get("max_sequence_idle_microseconds") or _DEFAULT_IDLE_MICROSECONDS
        )
        self._slots = int(batching.get("oldest", {}).get("max_candidate_sequences") or 0) or max(
            1, int(config.get("max_batch_size", 0))
        )
        self._kept = {}  # by correlation id, the longest unused first

    def resume(self, request, feed):
        """Put the state of a request's sequence into its feed, where the sequence has begun.

        A request without a correlation id fills an empty slot of the direct strategy: the core
        made it up, and it has no state.
        """
        sequence = request.correlation_id()
        if not sequence or request.flags() & _START:
            return
        if sequence not in self._kept:
            raise StateError(f"the state of sequence {sequence} is no longer known: start it anew")
        feed.update(self._kept[sequence][1])

    def keep(self, request, results):
        """Keep what the next request of the sequence needs, None where this one failed."""
        sequence = request.correlation_id()
        if not sequence:
            return
        _, state = self._kept.pop(sequence, (None, None))
        if request.flags() & _END:
            return
        if results is not None:
            state = {name: _own(results[output]) for output, name in self._inputs.items()}
        elif request.flags() & _START:
            state = {}  # the next request begins with the initial state, too
        if state is not None:  # None where the sequence is not known
            self._kept[sequence] = (time.monotonic(), state)
            self._forget()

    def _forget(self):
        """Drop sequences that were left without their end.

        The core ends an idle one without a word. More than it has slots for cannot be running, and
        one that runs is used within the idle time and however long its request waits in a queue:
        hence both conditions, and twice the time.
        """
        now = time.monotonic()
        while len(self._kept) > self._slots:
            oldest = next(iter(self._kept))
            if now - self._kept[oldest][0] < 2 * self._idle:
                break
            del self._kept[oldest]


def _own(array):
    """Return values that do not keep the whole batch that they are a part of."""
    return array if array.base is None else array.copy()
