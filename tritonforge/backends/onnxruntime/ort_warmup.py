"""Try a config's warm-up samples when the session is opened, before Triton's core runs them.

The core runs them through an instance that is complete; where one fails it takes the instance away
at once, and the server, whose Python backend is still busy with it, dies of that every second time
or so, and with it all other models. A sample that fails here fails its model's load alone. The core
then runs them for good; what is not tried here, where tensors are not handed on as they are or a
sample is not what the core makes one of, is left to it and its words.

Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData).
"""

import math
from pathlib import Path

import numpy as np
from ort_match import batching
from ort_options import ConfigError, words

_FOLDER = "warmup"
_WHOLE = "INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64"
_NUMPY = {
    "TYPE_BOOL": "bool",
    "TYPE_FP16": "f2",
    "TYPE_FP32": "f4",
    "TYPE_FP64": "f8",
    **{f"TYPE_{name}": name.lower() for name in _WHOLE.split()},
}


def check(config, repository, run):
    """Raise ConfigError where `run(names, feed)` fails for a sample."""
    if any(
        entry.get("reshape") or entry["data_type"] == "TYPE_STRING" for entry in config["input"]
    ):
        return
    batch = [1] if batching(config) else []
    names = [entry["name"] for entry in config["output"]]
    for sample in config.get("model_warmup", []):
        if int(sample.get("batch_size", 0)) == 0:  # the core passes over it
            continue
        feed = {}
        for name, entry in sample.get("inputs", {}).items():
            shape = [int(size) for size in entry.get("dims", [])]
            values = _values(entry, shape, Path(repository, _FOLDER))
            if values is None:
                return
            feed[name] = values.reshape(batch + shape)
        try:
            run(names, feed)
        except Exception as error:  # ONNX Runtime has no common base for its errors
            raise ConfigError(
                f"failed to run warmup sample '{sample.get('name', '')}': {words(error)}"
            ) from error


def _values(entry, shape, folder):
    """Return the values of an input of a sample, None where the core refuses to make them.

    A kind of data counts as set where it is named: to the core `zero_data: false` is zeros.
    """
    known = _NUMPY.get(entry.get("data_type"))
    if known is None or any(size < 1 for size in shape):
        return None
    count, dtype = math.prod(shape), np.dtype(known)
    size = count * dtype.itemsize
    if "random_data" in entry:
        return np.frombuffer(np.random.default_rng().bytes(size), dtype)
    if "zero_data" in entry:
        return np.zeros(count, dtype)
    if "input_data_file" not in entry:
        return None
    path = folder / entry["input_data_file"]
    data = path.read_bytes() if path.is_file() else b""
    return np.frombuffer(data[:size], dtype) if len(data) >= size else None
