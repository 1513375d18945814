"""Try a config's warm-up samples when the session is opened, before Triton's core runs them.

The core runs them through an instance that is complete; where one fails it takes the instance away
at once, and the server, whose Python backend is still busy with it, dies of that every second time
or so, and with it all other models. A sample that fails here fails its model's load alone. The core
then runs them for good; what is not tried here, where tensors are not handed on as they are, is
left to it.

Source: triton-inference-server/core, `backend_model_instance.cc` (GenerateWarmupData).
"""

import math
from pathlib import Path

import numpy as np
from ort_match import batching
from ort_options import ConfigError, words

_FOLDER = "warmup"
_NUMPY = {"TYPE_FP16": "f2", "TYPE_FP32": "f4", "TYPE_FP64": "f8", "TYPE_BOOL": "bool"}


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
        for name, entry in sample["inputs"].items():
            shape = [int(size) for size in entry["dims"]]
            values = _values(entry, shape, Path(repository, _FOLDER))
            if values is None:
                return
            feed[name] = values.reshape(batch + shape)
        try:
            run(names, feed)
        except Exception as error:  # ONNX Runtime has no common base for its errors
            raise ConfigError(
                f"failed to run warmup sample '{sample['name']}': {words(error)}"
            ) from error


def _values(entry, shape, folder):
    """Return the values of an input of a sample, None where the core refuses to make them."""
    if any(size < 0 for size in shape):  # for the core to tell, too
        return None
    count = math.prod(shape)
    dtype = np.dtype(_NUMPY.get(entry["data_type"]) or entry["data_type"][5:].lower())
    size = count * dtype.itemsize
    if entry.get("random_data"):
        return np.frombuffer(np.random.default_rng().bytes(size), dtype)
    if entry.get("zero_data"):
        return np.zeros(count, dtype)
    path = folder / entry["input_data_file"]
    data = path.read_bytes() if path.is_file() else b""
    return np.frombuffer(data[:size], dtype) if len(data) >= size else None
