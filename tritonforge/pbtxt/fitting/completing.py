"""The config that the server makes of one that leaves its tensors open.

Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (AutoCompleteConfig).
"""

from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge.pbtxt.asking import is_complete
from tritonforge.pbtxt.fitting.misfit import configured
from tritonforge.pbtxt.reading import ModelConfig
from tritonforge.tensors import Interface, Value

DEFAULT_BATCH = 4
_SCHEDULERS = ("dynamic_batching", "sequence_batching", "ensemble_scheduling")


def completed(message: Any, has: Interface) -> Any:
    """Return what the server would serve: a copy with what the file tells, where that is open.

    A file of which every tensor begins with a dynamic dimension gets batches of 4. A type that no
    config has is left out.
    """
    copy = ModelConfig()
    copy.CopyFrom(message)
    if is_complete(message):
        return copy
    if capable(has) and copy.max_batch_size == 0:
        copy.max_batch_size = DEFAULT_BATCH
    if copy.max_batch_size > 1 and not any(map(copy.HasField, _SCHEDULERS)):
        copy.dynamic_batching.SetInParent()
    if not copy.input and not copy.batch_input:
        _list(copy.input, has.inputs, copy.max_batch_size)
    if not copy.output:
        _list(copy.output, has.outputs, copy.max_batch_size)
    return copy


def capable(has: Interface) -> bool:
    """Say whether the server would batch a file's tensors."""
    return all(each.sizes[:1] == (-1,) for each in (*has.inputs, *has.outputs))


def _list(entries: Any, values: tuple[Value, ...], batch: int) -> None:
    """List tensors as the file has them."""
    for each in values:
        dims = each.sizes[1:] if batch > 0 else each.sizes
        entry = entries.add(name=each.name, dims=dims or (1,))
        if (known := configured(each)) is not None:
            entry.data_type = model_config_pb2.DataType.Value(known)
        if batch > 0 and not dims:
            entry.reshape.SetInParent()
