"""Rules of a config alone: what the server checks of it before it looks at the model's file."""

from tritonforge.rules.config import (
    accelerators,
    batched,
    batching,
    cuda,
    ensemble,
    fields,
    general,
    instances,
    metrics,
    parameters,
    profiles,
    sequences,
    tensorrt,
    tensors,
    warmup,
)

FAMILIES = (
    fields,
    general,
    batching,
    sequences,
    instances,
    tensors,
    batched,
    metrics,
    warmup,
    ensemble,
    parameters,
    accelerators,
    tensorrt,
    cuda,
    profiles,
)
