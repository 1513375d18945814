"""Rules of threads: how many of them the instances of a model bring to the server's cores."""

import re
from collections.abc import Iterator
from typing import Any

from tritonforge.pbtxt import THREADS
from tritonforge.rules.places import keyed, several, value_of
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model, Models

# What the server makes of a group of ONNX Runtime on the CPU that gives no count: core,
# `model_config_utils.cc` (SetDefaultInstanceCount).
_INSTANCES = 2
_COUNT = re.compile(r"[0-9]{1,9}")


def _instances(message: Any) -> int:
    """Count the instances on the CPU that a config asks for."""
    return sum(
        group.count if group.count > 0 else _INSTANCES
        for group in message.instance_group
        if value_of(group, "kind") == "KIND_CPU" and not group.passive
    )


def _threads(message: Any) -> int | None:
    """Return the threads of an instance's operators, None where it takes as many as cores."""
    text = message.parameters[THREADS].string_value if THREADS in message.parameters else ""
    return int(text) if _COUNT.fullmatch(text) and int(text) > 0 else None


def _on_cpu(models: Models) -> Iterator[tuple[Model, Any]]:
    """Yield the models of ONNX Runtime with instances on the CPU."""
    for model in models.models.values():
        if model.config is not None and model.config.is_onnx and _instances(model.config.message):
            yield model, model.config.message


@rule("THR301", "advice")
def threads_fit_the_cores(models: Models) -> Iterator[Found]:
    """The instances of a model on the CPU have no more threads than the server has cores.

    More threads than cores take turns, and each request then takes longer than alone. How many
    cores there are --cores says.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (intra_op_thread_count);
    onnxruntime, "Thread management".
    Remedy: lower the count of instances or intra_op_thread_count; `tritonforge perf` measures
    which.
    """
    for model, message in _on_cpu(models):
        threads, count = _threads(message), _instances(message)
        if models.cores is not None and threads is not None and count * threads > models.cores:
            each = f" each are {count * threads}" if count > 1 else ""
            yield Found(
                model=model.name,
                said=f"{several(count, 'instance')} of {several(threads, 'thread')}{each} on"
                f" {several(models.cores, 'core')}",
                at=keyed("parameters", THREADS),
            )


@rule("THR302", "advice")
def instances_share_the_cores(models: Models) -> Iterator[Found]:
    """Where a model has several instances on the CPU, each has a number of threads.

    Without intra_op_thread_count ONNX Runtime gives each as many threads as there are cores, and
    they take turns.

    Source: onnxruntime, "Thread management"; triton-inference-server/onnxruntime_backend issue 34.
    Remedy: write intra_op_thread_count, as the cores divided by the instances, or one instance.
    """
    for model, message in _on_cpu(models):
        count = _instances(message)
        if count > 1 and _threads(message) is None:
            yield Found(
                model=model.name,
                said=f"each of {count} instances on the CPU takes as many threads as there are"
                f" cores, for want of {THREADS}",
                at="instance_group[0].count",
            )
