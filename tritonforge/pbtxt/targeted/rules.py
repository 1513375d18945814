"""What the server itself checks of a config before it loads the model: schedulers and instances.

Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig,
ValidateInstanceGroup, GetBooleanSequenceControlProperties, ValidateModelMetrics).
"""

from collections.abc import Iterator
from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge.pbtxt.asking import is_complete
from tritonforge.pbtxt.targeted.fault import Fault, error, ignored, told_apart, value_of

_CONTROL = model_config_pb2.ModelSequenceBatching.Control
_DELAY = model_config_pb2.ModelQueuePolicy.DELAY
_CORRELATION_TYPES = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
_OF_BATCHES = {"preferred_batch_size", "max_queue_delay_microseconds"}
_PAIRS = ("int32_false_true", "fp32_false_true", "bool_false_true")


def broken(message: Any) -> Iterator[Fault]:
    """Yield where a config breaks the rules of its schedulers, instances and metrics."""
    if message.max_batch_size < 0:
        yield error("max_batch_size", f"{message.max_batch_size} should be 0 or more", is_lone=True)
    if message.HasField("dynamic_batching"):
        yield from _dynamic(message)
    if message.HasField("sequence_batching"):
        yield from _sequence(message)
    yield from _cached(message)
    for place, group in told_apart("instance_group", message.instance_group):
        kind = value_of(group, "kind")
        if kind in {"KIND_CPU", "KIND_MODEL"} and group.gpus:
            yield error(f"{place}.gpus", f"instances of {kind} take no gpus: leave them out")
    yield from _metrics(message)


# --- schedulers ---------------------------------------------------------------------------------


def _dynamic(message: Any) -> Iterator[Fault]:
    """Yield what is wrong of dynamic batching: sizes, priorities, order."""
    batching, path = message.dynamic_batching, "dynamic_batching."
    said = {field.name for field, _ in batching.ListFields()}
    if is_complete(message) and message.max_batch_size in {0, 1} and said <= _OF_BATCHES:
        yield ignored(
            "dynamic_batching", f"with max_batch_size {message.max_batch_size} nothing batches"
        )
    yield from _preferred(batching, path, message.max_batch_size)
    levels, default = batching.priority_levels, batching.default_priority_level
    if levels and not 1 <= default <= levels:
        yield error(f"{path}default_priority_level", f"{default} should be 1 to {levels}")
    if not levels and default:
        yield ignored(f"{path}default_priority_level", "there are no priority_levels to be one of")
    policies = batching.priority_queue_policy
    for level in sorted(policies):
        place = f"{path}priority_queue_policy.{level}"
        if levels and not 1 <= level <= levels:
            yield error(place, f"the level {level} should be 1 to {levels}")
        elif not levels:
            yield ignored(place, "there are no priority_levels to have a policy")
    if batching.preserve_ordering:
        yield from _ordered(batching, path)


def _ordered(batching: Any, path: str) -> Iterator[Fault]:
    """Yield what cannot be had where answers keep the order of the requests."""
    levels, policies = batching.priority_levels, batching.priority_queue_policy
    if levels > 1:
        yield error(
            f"{path}priority_levels", f"with preserve_ordering there is one level, not {levels}"
        )
    queues = {f"priority_queue_policy.{level}": policies[level] for level in sorted(policies)}
    for name, queue in {"default_queue_policy": batching.default_queue_policy, **queues}.items():
        if queue.default_timeout_microseconds and queue.timeout_action == _DELAY:
            yield error(
                f"{path}{name}.timeout_action",
                "DELAY cannot be had with preserve_ordering: choose REJECT",
            )


def _preferred(batching: Any, path: str, most: int) -> Iterator[Fault]:
    """Yield the preferred sizes that no batch can have."""
    for size in batching.preferred_batch_size:
        if not 1 <= size <= most:
            should = f"should be 1 to max_batch_size, {most}" if most > 0 else "has no place"
            why = "" if most > 0 else ": with max_batch_size 0 nothing batches"
            yield error(f"{path}preferred_batch_size", f"the size {size} {should}{why}")


def _sequence(message: Any) -> Iterator[Fault]:
    """Yield what is wrong of sequence batching: its control tensors and its strategy."""
    batching, path = message.sequence_batching, "sequence_batching."
    yield from _controls(batching)
    if batching.HasField("oldest"):
        yield from _preferred(batching.oldest, f"{path}oldest.", message.max_batch_size)
    used = batching.direct.minimum_slot_utilization
    if not 0.0 <= used <= 1.0:
        yield error(
            f"{path}direct.minimum_slot_utilization", f"{used:g} should be 0 to 1", is_lone=True
        )


def _controls(batching: Any) -> Iterator[Fault]:
    """Yield what is wrong of the control tensors; a tensor and a kind come once."""
    tensors: set[str] = set()
    kinds: set[int] = set()
    for place, entry in told_apart("sequence_batching.control_input", batching.control_input):
        if not entry.name:
            yield error(place, "a control tensor needs a name")
        elif entry.name in tensors:
            yield error(place, f"{entry.name} is listed twice: put its controls into one entry")
        tensors.add(entry.name)
        for number, control in enumerate(entry.control):
            if control.kind in kinds:
                kind = value_of(control, "kind")
                yield error(f"{place}.control[{number}]", f"{kind} is given to several tensors")
            kinds.add(control.kind)
            yield from _control(f"{place}.control[{number}]", control)


def _control(path: str, control: Any) -> Iterator[Fault]:
    """Yield what is wrong of one control: a correlation id has a type, others have two values."""
    given = [name for name in _PAIRS if len(getattr(control, name))]
    if control.kind == _CONTROL.CONTROL_SEQUENCE_CORRID:
        name = value_of(control, "data_type")
        if given:
            yield error(f"{path}.{given[0]}", "a correlation id takes a data_type, no values")
        if name not in _CORRELATION_TYPES:
            yield error(f"{path}.data_type", f"{name} should be {' or '.join(_CORRELATION_TYPES)}")
    elif len(given) != 1:
        found = " and ".join(given) or "none"
        yield error(
            path, f"{value_of(control, 'kind')} needs one of {', '.join(_PAIRS)}, and has {found}"
        )
    elif len(getattr(control, given[0])) != 2:
        yield error(f"{path}.{given[0]}", "it should be two values: for false, and for true")


def _cached(message: Any) -> Iterator[Fault]:
    """Yield what the response cache does not go together with."""
    if not message.response_cache.enable:
        return
    if message.HasField("sequence_batching"):
        yield error("response_cache.enable", "responses of sequences cannot be cached")
    if message.model_transaction_policy.decoupled:
        yield error("response_cache.enable", "responses of a decoupled model cannot be cached")


# --- metrics ------------------------------------------------------------------------------------


def _metrics(message: Any) -> Iterator[Fault]:
    """Yield the controls of metrics that lack a part."""
    for number, control in enumerate(message.model_metrics.metric_control):
        path = f"model_metrics.metric_control[{number}]"
        if not control.metric_identifier.family:
            yield error(f"{path}.metric_identifier.family", "it should name a family of metrics")
        if not control.histogram_options.buckets:
            yield error(f"{path}.histogram_options.buckets", "it should list the buckets' bounds")
