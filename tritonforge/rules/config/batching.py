"""Rules of dynamic batching."""

from collections.abc import Iterator

from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config


@rule("BAT101", "refused")
def preferred_sizes(config: Config) -> Iterator[Found]:
    """Preferred batch sizes lie within 1 and max_batch_size.

    The server compares each with max_batch_size, also where that is 0, and does not load the model.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: leave the size out, or raise max_batch_size.
    """
    most = config.message.max_batch_size
    for number, size in enumerate(config.message.dynamic_batching.preferred_batch_size):
        if not 1 <= size <= most:
            should = f"should be 1 to max_batch_size, {most}" if most > 0 else "has no place"
            why = "" if most > 0 else ": with max_batch_size 0 nothing batches"
            yield Found(
                said=f"the preferred size {size} {should}{why}",
                at=f"dynamic_batching.preferred_batch_size[{number}]",
            )
