"""Ragged batches: inputs put end to end whatever their shapes, and tensors that tell them apart.

Source: triton-inference-server/backend, `backend_input_collector.cc` (BatchInputShape,
ProcessBatchInput), `backend_output_responder.cc` (ProcessBatchOutput) and `backend_common.cc`.
Note that counts are one a request, of all of its elements, not one a sample.
"""

import math
from dataclasses import dataclass

import numpy as np
import ort_batch
from ort_match import batching, shape_of

_TYPES = {"TYPE_INT32": np.int32, "TYPE_FP32": np.float32}


def _counts(arrays):
    return np.array([array.size for array in arrays])


def _item_shapes(arrays):
    return np.concatenate([np.tile(array.shape[1:], (len(array), 1)) for array in arrays])


_KINDS = {
    "BATCH_ELEMENT_COUNT": _counts,
    "BATCH_ACCUMULATED_ELEMENT_COUNT": lambda arrays: np.cumsum(_counts(arrays)),
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO": lambda arrays: np.cumsum([0, *_counts(arrays)]),
    # only the shape says something
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE": lambda arrays: np.zeros(max(_counts(arrays))),
    "BATCH_ITEM_SHAPE": _item_shapes,
    "BATCH_ITEM_SHAPE_FLATTEN": lambda arrays: _item_shapes(arrays).reshape(-1),
}


@dataclass(frozen=True)
class _BatchInput:
    """Inputs of the file that are computed from the shapes of an input of the requests."""

    targets: tuple
    source: str
    compute: object
    type: object


def batch_inputs(config):
    """Return the entries of `batch_input`; each counts as one input of the file."""
    return [
        _BatchInput(
            targets=tuple(entry["target_name"]),
            source=entry["source_input"][0],
            compute=_KINDS[entry["kind"]],
            type=_TYPES[entry["data_type"]],
        )
        for entry in config.get("batch_input", [])
    ]


def scattered(config):
    """Return the outputs that take their shapes from an input: its name and the shape's dims."""
    whole = (-1,) if batching(config) else ()
    dims = {entry["name"]: whole + shape_of(entry) for entry in config.get("output", [])}
    return {
        target: (entry["source_input"][0], dims[target])
        for entry in config.get("batch_output", [])
        for target in entry["target_name"]
        if target in dims
    }


class Batches:
    """How a model's feeds become one and its outputs are given back: ragged or not."""

    def __init__(self, config, merging):
        """Learn which tensors are not simply stacked along the batch, where `merging` them."""
        self._merging = merging
        self._ragged = {e["name"] for e in config["input"] if e.get("allow_ragged_batch")}
        self._batch_inputs = batch_inputs(config)
        self._scattered = scattered(config)

    @property
    def special(self):
        """Say whether any tensor needs this."""
        return bool(self._ragged or self._batch_inputs or self._scattered)

    def alike(self, feeds):
        """Group the keys of feeds that may be merged."""
        if not self._merging:
            return [[position] for position in feeds]
        return ort_batch.alike(
            {
                position: {n: a.reshape(-1) if n in self._ragged else a for n, a in feed.items()}
                for position, feed in feeds.items()
            }
        )

    def merge(self, feeds):
        """Make one feed of several of one group."""
        if len(feeds) == 1:
            merged = dict(feeds[0])
        else:
            names = [name for name in feeds[0] if name not in self._ragged]
            merged = ort_batch.merge([{name: feed[name] for name in names} for feed in feeds])
        for name in self._ragged:
            merged[name] = np.concatenate([feed[name].reshape(-1) for feed in feeds])
        for entry in self._batch_inputs:
            values = entry.compute([feed[entry.source] for feed in feeds]).astype(entry.type)
            merged.update(dict.fromkeys(entry.targets, values))
        return merged

    def split(self, name, array, feeds):
        """Cut an output into the parts of the feeds."""
        if name in self._scattered:
            return self._scatter(name, array, feeds)
        if self._merging:
            counts = [ort_batch.rows(feed) for feed in feeds]
            ort_batch.check([name], [array], sum(counts))
            return list(ort_batch.split(array, counts))
        return [array]

    def _scatter(self, name, array, feeds):
        """Cut an output in the order of its elements into the shapes that its input had."""
        source, dims = self._scattered[name]
        shapes = []
        for feed in feeds:
            given = feed[source].shape
            if any(size < 0 and axis >= len(given) for axis, size in enumerate(dims)):
                raise ort_batch.SplitError(
                    f"batch output '{name}' has {len(dims)} dimensions, and its source input "
                    f"'{source}' came with shape {list(given)}"
                )
            shapes.append([given[axis] if size < 0 else size for axis, size in enumerate(dims)])
        needed = [math.prod(shape) for shape in shapes]
        if array.size < sum(needed):
            raise ort_batch.SplitError(
                f"batch output '{name}' has {array.size} elements, and the shapes of its source "
                f"input '{source}' ask for {sum(needed)}"
            )
        parts = np.split(array.reshape(-1), np.cumsum(needed))
        return [part.reshape(shape) for part, shape in zip(parts[:-1], shapes, strict=True)]
