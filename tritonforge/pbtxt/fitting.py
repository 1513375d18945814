"""Whether a config fits the file that it is to serve."""

from typing import Any

from tritonclient.grpc import model_config_pb2

from tritonforge.pbtxt.sequencing import filled
from tritonforge.tensors import Signature, TensorSpec


def mismatch(message: Any, signature: Signature) -> str | None:
    """Say why the config cannot serve a file with this signature; None where it can.

    Names and dtypes must agree, every input be listed, and each shape fit (a config may narrow a
    dynamic input to a number; outputs agree exactly: onnxruntime_backend#165). Ragged inputs have
    no batch in the file, and an output that takes its shape from an input may have any.
    """
    batched = message.max_batch_size > 0
    ragged = {entry.name for entry in message.input if entry.allow_ragged_batch}
    scattered = {name for each in message.batch_output for name in each.target_name}
    if batched and signature.batch is None and not ragged:
        return f"max_batch_size is {message.max_batch_size} but the model cannot batch"
    for kind, entries, specs in (
        ("input", message.input, signature.inputs),
        ("output", message.output, signature.outputs),
    ):
        known = {spec.name: spec for spec in specs}
        for entry in entries:
            if entry.name not in known:
                return f"the model has no {kind} {entry.name!r}, only {', '.join(known)}"
            if kind == "output" and entry.name in scattered:
                continue
            whole = not batched or (kind == "input" and entry.name in ragged)
            reason = _misfit(entry, known[entry.name], batched=not whole, exact=kind == "output")
            if reason:
                return reason
    listed = {entry.name for entry in message.input} | filled(message)
    missing = {spec.name for spec in signature.inputs} - listed
    return f"input {min(missing)!r} of the model is not listed" if missing else None


def _misfit(entry: Any, spec: TensorSpec, *, batched: bool, exact: bool) -> str | None:
    """Say why one listed tensor does not fit the model's."""
    wanted = model_config_pb2.DataType.Name(entry.data_type)
    if wanted != spec.dtype.config:
        return f"{entry.name!r} is {wanted} but the model has {spec.dtype.config}"
    dims = list(entry.reshape.shape if entry.HasField("reshape") else entry.dims)
    file_dims = spec.dims[1:] if batched else spec.dims
    model = [-1 if isinstance(dim, str) else dim for dim in file_dims]
    scalar = not batched and not model and dims == [1]
    fits = len(dims) == len(model) and all(
        want == have or (have == -1 and not exact) for want, have in zip(dims, model, strict=True)
    )
    if scalar or fits:
        return None
    return f"{entry.name!r} has dims {dims} but the model has {model}"
