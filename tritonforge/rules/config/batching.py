"""Rules of dynamic batching."""

from collections.abc import Iterable, Iterator
from typing import Any

from tritonforge import pbtxt
from tritonforge.rules.backends import ENSEMBLE
from tritonforge.rules.places import keyed, value_of
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

_DELAY = "max_queue_delay_microseconds"
_OF_BATCHES = {"preferred_batch_size", _DELAY}
# The backends that put the requests which they are at work on into one batch themselves.
_IN_FLIGHT = {"tensorrtllm", "vllm"}
_POLICIES = "dynamic_batching.priority_queue_policy"


@rule("BAT101", "refused", is_lasting=True)
def preferred_sizes(config: Config) -> Iterator[Found]:
    """Preferred batch sizes lie within 1 and max_batch_size.

    The server compares each with max_batch_size, also where that is 0, and does not load the model.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: leave the size out, or raise max_batch_size.
    """
    message = config.message
    yield from unfit_sizes(
        message.dynamic_batching.preferred_batch_size,
        "dynamic_batching.preferred_batch_size",
        message.max_batch_size,
    )


def unfit_sizes(sizes: Iterable[int], path: str, most: int) -> Iterator[Found]:
    """Yield the preferred sizes that no batch can have."""
    for number, size in enumerate(sizes):
        if not 1 <= size <= most:
            should = f"should be 1 to max_batch_size, {most}" if most > 0 else "has no place"
            why = "" if most > 0 else ": with max_batch_size 0 nothing batches"
            yield Found(said=f"the preferred size {size} {should}{why}", at=f"{path}[{number}]")


@rule("BAT102", "refused", is_lasting=True)
def default_level(config: Config) -> Iterator[Found]:
    """The default priority is one of the priority levels.

    Requests that name no priority have it; levels count from 1, and the default is never left out.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: write default_priority_level, 1 to priority_levels.
    """
    batching = config.message.dynamic_batching
    levels, default = batching.priority_levels, batching.default_priority_level
    if levels and not 1 <= default <= levels:
        yield Found(
            said=f"{default} should be 1 to {levels}", at="dynamic_batching.default_priority_level"
        )


@rule("BAT103", "refused", is_lasting=True)
def level_of_a_policy(config: Config) -> Iterator[Found]:
    """A queue policy is of one of the priority levels.

    Levels count from 1 to priority_levels.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: mend the key of priority_queue_policy, or raise priority_levels.
    """
    batching = config.message.dynamic_batching
    for level in sorted(batching.priority_queue_policy):
        if batching.priority_levels and not 1 <= level <= batching.priority_levels:
            yield Found(
                said=f"the level {level} should be 1 to {batching.priority_levels}",
                at=keyed(_POLICIES, level),
            )


@rule("BAT104", "refused", is_lasting=True)
def ordered_at_one_level(config: Config) -> Iterator[Found]:
    """Where answers keep the order of the requests there is one priority level.

    A request of a higher priority would overtake others, which preserve_ordering forbids.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: take out priority_levels, or preserve_ordering.
    """
    batching = config.message.dynamic_batching
    if batching.preserve_ordering and batching.priority_levels > 1:
        yield Found(
            said=f"with preserve_ordering there is one level, not {batching.priority_levels}",
            at="dynamic_batching.priority_levels",
        )


@rule("BAT105", "refused", is_lasting=True)
def ordered_without_delay(config: Config) -> Iterator[Found]:
    """Where answers keep the order of the requests none is delayed at its timeout.

    A delayed request runs behind those that came later, which preserve_ordering forbids.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: write timeout_action REJECT, or take preserve_ordering out.
    """
    batching = config.message.dynamic_batching
    if not batching.preserve_ordering:
        return
    policies = batching.priority_queue_policy
    queues = {keyed(_POLICIES, level): policies[level] for level in sorted(policies)}
    queues = {"dynamic_batching.default_queue_policy": batching.default_queue_policy, **queues}
    for place, queue in queues.items():
        if queue.default_timeout_microseconds and value_of(queue, "timeout_action") == "DELAY":
            yield Found(
                said="DELAY cannot be had with preserve_ordering: choose REJECT",
                at=f"{place}.timeout_action",
            )


@rule("BAT201", "wrong", is_lasting=True)
def something_to_batch(config: Config) -> Iterator[Found]:
    """A model with dynamic batching has a max_batch_size of 2 or more.

    With less the server makes no batches, and requests wait for nothing.

    Source: triton-inference-server/core, `dynamic_batch_scheduler.cc`.
    Remedy: raise max_batch_size where the model takes a batch, else take dynamic_batching out.
    """
    message = config.message
    said = {field.name for field, _ in message.dynamic_batching.ListFields()}
    told = bool(message.dynamic_batching.preferred_batch_size) and not message.max_batch_size
    if _batches_nothing(message) and said <= _OF_BATCHES and not told:  # else BAT101 tells
        yield Found(
            said=f"with max_batch_size {message.max_batch_size} nothing batches",
            at="dynamic_batching",
        )


def _batches_nothing(message: Any) -> bool:
    """Say whether dynamic batching has nothing to batch, and no backend changes that."""
    return (
        message.HasField("dynamic_batching")
        and pbtxt.is_complete(message)
        and message.max_batch_size in {0, 1}
    )


@rule("BAT202", "wrong", is_lasting=True)
def default_level_of_some(config: Config) -> Iterator[Found]:
    """A default priority needs priority levels.

    Without levels there is one queue, and the default is passed over.

    Source: triton-inference-server/core, `dynamic_batch_scheduler.cc`.
    Remedy: write priority_levels, or take the default out.
    """
    batching = config.message.dynamic_batching
    if batching.default_priority_level and not batching.priority_levels:
        yield Found(
            said="there are no priority_levels to be one of",
            at="dynamic_batching.default_priority_level",
        )


@rule("BAT203", "wrong", is_lasting=True)
def policy_of_some_level(config: Config) -> Iterator[Found]:
    """A queue policy by priority needs priority levels.

    Without levels there is one queue, whose policy is default_queue_policy.

    Source: triton-inference-server/core, `scheduler_utils.cc` (PriorityQueue).
    Remedy: write priority_levels, or the policy as default_queue_policy.
    """
    batching = config.message.dynamic_batching
    if not batching.priority_levels:
        policies = batching.priority_queue_policy
        for level in sorted(each for each in policies if policies[each].ListFields()):
            yield Found(
                said="there are no priority_levels to have a policy", at=keyed(_POLICIES, level)
            )


@rule("BAT204", "wrong", is_lasting=True)
def delay_for_a_batch(config: Config) -> Iterator[Found]:
    """A queue delay needs a max_batch_size of 2 or more.

    A request waits for others to be batched with; without a batch it goes at once.

    Source: triton-inference-server/core, `dynamic_batch_scheduler.cc` (GetDynamicBatch).
    Remedy: raise max_batch_size where the model takes a batch, else take the delay out.
    """
    message = config.message
    said = {field.name for field, _ in message.dynamic_batching.ListFields()}
    if _batches_nothing(message) and _DELAY in said and not said <= _OF_BATCHES:
        yield Found(
            said=f"with max_batch_size {message.max_batch_size} nothing batches",
            at=f"dynamic_batching.{_DELAY}",
        )


@rule("BAT205", "wrong", is_lasting=True)
def batched_by_the_server(config: Config) -> Iterator[Found]:
    """A model that takes batches says how the server is to make them.

    Without dynamic_batching each request runs alone, whatever max_batch_size is; only those that
    bring several rows themselves are batches. A model whose requests always do may silence this.
    TensorRT-LLM and vLLM batch requests themselves while they run.

    Source: triton-inference-server/core, `backend_model.cc` (SetConfiguredScheduler);
    tensorrtllm_backend, `README.md` (In-flight Batching).
    Remedy: write dynamic_batching { }.
    """
    message = config.message
    if (
        message.max_batch_size > 1
        and message.WhichOneof("scheduling_choice") is None
        and message.platform != ENSEMBLE
        and config.backend not in _IN_FLIGHT
        and pbtxt.is_complete(message)  # else the backend adds it
    ):
        yield Found(
            said=f"requests are not batched together, though max_batch_size is"
            f" {message.max_batch_size}: write dynamic_batching {{ }}",
            at="max_batch_size",
        )


@rule("BAT301", "advice")
def no_preferred_sizes(config: Config) -> Iterator[Found]:
    """Preferred sizes are left out, save where the model is made for some sizes.

    The server runs the largest preferred size that the waiting requests fill, and lets the rest
    wait for another batch; without sizes all that wait go at once. TensorRT's engines may be made
    for some sizes.

    Source: triton-inference-server/core, `dynamic_batch_scheduler.cc` (GetDynamicBatch); server,
    `docs/user_guide/batcher.md`.
    Remedy: take preferred_batch_size out, and measure the difference.
    """
    message = config.message
    sizes = [*message.dynamic_batching.preferred_batch_size]
    accelerators = message.optimization.execution_accelerators.gpu_execution_accelerator
    if (
        config.is_onnx
        and sizes
        and sizes != [message.max_batch_size]
        and message.max_batch_size  # else BAT101 tells
        and not any(each.name == "tensorrt" for each in accelerators)
    ):
        yield Found(
            said="batches are cut to these sizes, and the rest waits: leave them out unless a"
            " measurement says otherwise",
            at="dynamic_batching.preferred_batch_size",
        )
