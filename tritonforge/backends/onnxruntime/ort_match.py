"""What a model file takes and gives, and whether a config.pbtxt agrees, as the C++ backend decides.

Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs,
ValidateOutputs) and `onnxruntime_utils.cc` (CompareDimsSupported): inputs may narrow a dynamic
dimension of the model, outputs must say exactly what the model says.
"""

from dataclasses import dataclass

from ort_options import ConfigError

TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(int8)": "TYPE_INT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(string)": "TYPE_STRING",
    "tensor(bool)": "TYPE_BOOL",
    "tensor(float16)": "TYPE_FP16",
    "tensor(double)": "TYPE_FP64",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
}


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file: its type in config terms and its whole shape, -1 where dynamic."""

    name: str
    type: str
    dims: tuple

    @property
    def batches(self):
        """Say whether the first dimension can be the batch."""
        return bool(self.dims) and self.dims[0] == -1


def tensors(nodes):
    """Read a session's inputs or outputs, by name."""
    return {node.name: _tensor(node) for node in nodes}


def _tensor(node):
    kind = node.type.partition("(")[0].upper()
    if kind != "TENSOR":
        kinds = {"SEQ": "SEQUENCE", "SPARSE_TENSOR": "SPARSETENSOR"}
        raise ConfigError(
            f"Unsupported ONNX Type 'ONNX_TYPE_{kinds.get(kind, kind)}' for I/O '{node.name}', "
            "expected 'ONNX_TYPE_TENSOR'."
        )
    dims = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in node.shape)
    return Tensor(name=node.name, type=TYPES.get(node.type, "TYPE_INVALID"), dims=dims)


def batching(config):
    """Say whether requests come with a batch before the dims of the config."""
    return int(config.get("max_batch_size", 0)) > 0


def check(config, inputs, optional, outputs, *, added=0, scattered=()):
    """Raise ConfigError where the config cannot serve a file with these tensors.

    `optional` are the initializers that a request may override, `added` is how many inputs of the
    file the config names elsewhere, `scattered` are outputs that take their shapes from an input.
    """
    model, batched = config["name"], batching(config)
    asked = config.get("input", [])
    expected = sum(not entry.get("optional") for entry in asked) + added
    if expected != len(inputs):
        raise ConfigError(
            f"unable to load model '{model}', configuration expects {expected} inputs, "
            f"model provides {len(inputs)}"
        )
    for entry in asked:
        if batched and entry.get("optional"):
            raise ConfigError(
                f"unable to load model '{model}', optional input '{entry['name']}' is not "
                "supported for models that support batching"
            )
        tensor = _typed(model, entry, {**inputs, **optional}, "input")
        if entry.get("allow_ragged_batch"):
            _check_ragged(model, entry, tensor)
        else:
            _check_shape(model, entry, tensor, "input", batched)
    for entry in config.get("output", []):
        tensor = _typed(model, entry, outputs, "output")
        if entry["name"] not in scattered:
            _check_shape(model, entry, tensor, "output", batched)


def _typed(model, entry, known, kind):
    """Return the file's tensor of a name, which must be of the config's type."""
    name, tensor = entry["name"], known.get(entry["name"])
    if tensor is None:
        allowed = ", ".join(known)
        raise ConfigError(f"unexpected inference {kind} '{name}', allowed {kind}s are: {allowed}")
    if entry["data_type"] not in TYPES.values():
        raise ConfigError(
            f"unsupported datatype {entry['data_type']} for {kind} '{name}' for model '{model}'"
        )
    if tensor.type != entry["data_type"]:
        raise ConfigError(
            f"unable to load model '{model}', configuration expects datatype "
            f"{entry['data_type']} for {kind} '{name}', model provides {tensor.type}"
        )
    return tensor


def _check_ragged(model, entry, tensor):
    """Compare an input whose requests are put end to end."""
    wanted = (
        f"unable to load model '{model}', configuration expects model provides input with shape "
        f"[-1] for ragged input '{entry['name']}'"
    )
    if entry.get("optional"):
        raise ConfigError(f"{wanted}, which is not supported for optional input")
    if tensor.dims != (-1,):
        raise ConfigError(f"{wanted}, model provides {text(tensor.dims)}")


def _check_shape(model, entry, tensor, kind, batched):
    """Compare the dims of a tensor; a scalar is one value.

    The C++ backend says that it is so without batching, and does not ask whether there is any.
    """
    name, dims = entry["name"], shape_of(entry)
    if not tensor.dims:
        if any(size != 1 for size in dims):
            raise ConfigError(
                f"unable to load model '{model}', scalar tensor '{name}', should only provide 1 "
                "in the model configuration when the model doesn't support batching. "
                f"Model configuration provided: {text(dims)}."
            )
        return
    _check_dims(f"model '{model}', tensor '{name}': ", tensor, dims, batched, kind == "output")


def _check_dims(where, tensor, dims, batched, exact):
    if batched and not tensor.batches:
        raise ConfigError(
            f"{where}for the model to support batching the shape should have at least 1 dimension "
            "and the first dimension must be -1; but shape expected by the model is "
            f"{text(tensor.dims)}"
        )
    whole = (-1, *dims) if batched else dims
    fits = len(whole) == len(tensor.dims) and all(
        have == want or (have == -1 and not exact)
        for have, want in zip(tensor.dims, whole, strict=True)
    )
    if fits:
        return
    explained = f"(shape {text(whole)})"
    if batched:
        explained = (
            "(an initial batch dimension because max_batch_size > 0 followed by the explicit "
            f"tensor shape, making complete shape {text(whole)})"
        )
    raise ConfigError(
        f"{where}the model expects {len(tensor.dims)} dimensions (shape {text(tensor.dims)}) "
        f"but the model configuration specifies {len(whole)} dimensions {explained}"
    )


def shape_of(entry):
    """Return the dims of a config's tensor as the model sees them: its reshape where it has one."""
    dims = entry["reshape"].get("shape", []) if entry.get("reshape") else entry["dims"]
    return tuple(int(size) for size in dims)


def text(dims):
    """Write a shape as Triton does."""
    return "[" + ",".join(map(str, dims)) + "]"
