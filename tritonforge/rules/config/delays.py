"""Rules of how long a request waits for others."""

from collections.abc import Iterator

from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

_DELAY = "max_queue_delay_microseconds"
_LONG = 1_000_000  # microseconds


@rule("BAT302", "advice", is_lone=True, is_lasting=True)
def no_second_in_the_queue(config: Config) -> Iterator[Found]:
    """A request waits less than a second to be batched with others.

    The delay is of microseconds, and easily written as nanoseconds, or with zeros too many. A
    request that nothing joins waits all of it.

    Source: triton-inference-server/core, `dynamic_batch_scheduler.cc` (GetDynamicBatch).
    Remedy: write microseconds: 5000 are 5 milliseconds.
    """
    message = config.message
    for place, held in (
        ("dynamic_batching", message.dynamic_batching),
        ("sequence_batching.direct", message.sequence_batching.direct),
        ("sequence_batching.oldest", message.sequence_batching.oldest),
    ):
        microseconds = held.max_queue_delay_microseconds
        if microseconds >= _LONG:
            seconds = f"{microseconds / 1e6:,g}"
            yield Found(
                said=f"a request may wait {seconds} s for others to join it",
                at=f"{place}.{_DELAY}",
            )
