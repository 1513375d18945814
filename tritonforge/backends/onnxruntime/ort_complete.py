"""Complete a config.pbtxt that is absent or partial, as the C++ backend completes it.

Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (AutoCompleteConfig): nothing
is done where inputs and outputs are both given; a model whose every tensor begins with a dynamic
dimension gets a batch of 4 and dynamic batching.
"""

from pathlib import Path, PurePath

import ort_open
from ort_options import ConfigError, file_name

DEFAULT_BATCH = 4
_SCHEDULERS = ("dynamic_batching", "sequence_batching", "ensemble_scheduling")


def needed(config):
    """Say whether anything is to be completed."""
    return not ((config.get("input") or config.get("batch_input")) and config.get("output"))


def model_path():
    """Return the model's path from this process's command line, where the server puts it first.

    A config is completed before there is an instance, and the API tells only what the config says.
    """
    return Path("/proc/self/cmdline").read_bytes().split(b"\0")[1].decode()


def session(config, path):
    """Open the file of a config that is to be completed; `path` is as the server names it.

    That is the version's folder and the name that the config has for the file, folders and all.
    """
    folder = [Path(path), *Path(path).parents][len(PurePath(file_name(config)).parts)]
    kinds = {group.get("kind") for group in config.get("instance_group", [])}
    return ort_open.load(config, folder, "GPU" if "KIND_GPU" in kinds else "CPU", 0)


def complete(completed, inputs, outputs):
    """Fill in what the config leaves open from the file's tensors."""
    config = completed.as_dict()
    batch = int(config.get("max_batch_size", 0))
    capable = all(tensor.batches for tensor in [*inputs.values(), *outputs.values()])
    if batch > 0 and not capable:
        raise ConfigError(
            f"autofill failed for model '{config['name']}': model does not support batching while "
            "non-zero max_batch_size is specified"
        )
    if batch == 0 and capable:
        batch = DEFAULT_BATCH
        completed.set_max_batch_size(batch)
    if batch > 1 and not any(scheduler in config for scheduler in _SCHEDULERS):
        completed.set_dynamic_batching()
    # the config's own lists: `add_input` and `add_output` know no reshape
    for kind, tensors in (("input", inputs), ("output", outputs)):
        if not config.get(kind):
            config[kind] = [_entry(tensor, batch) for tensor in tensors.values()]


def _entry(tensor, batch):
    """Describe a tensor for the config: without the batch; what is then a scalar as one value."""
    dims = tensor.dims[1:] if batch else tensor.dims
    entry = {"name": tensor.name, "data_type": tensor.type, "dims": list(dims) or [1]}
    if batch and not dims:
        entry["reshape"] = {"shape": []}
    return entry
