"""Many requests as one run: which may be merged, merging and splitting. Knows only numpy."""

import numpy as np


class SplitError(Exception):
    """An output whose first dimension is not the batch that went in."""


def alike(feeds):
    """Group the positions of feeds that may be merged: same inputs, same shapes but the batch."""
    groups = {}
    for position, feed in enumerate(feeds):
        key = tuple((name, array.shape[1:]) for name, array in feed.items())
        groups.setdefault(key, []).append(position)
    return list(groups.values())


def merge(feeds):
    """Put feeds of one group one after the other along the batch."""
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}


def sizes(feeds):
    """Return how many samples each feed holds."""
    return [next(iter(feed.values())).shape[0] for feed in feeds]


def split(name, array, counts):
    """Cut an output into the parts of the feeds; the parts share the output's memory."""
    total = sum(counts)
    if array.ndim == 0 or array.shape[0] != total:
        raise SplitError(
            f"output '{name}' has shape {list(array.shape)} for a batch of {total}: "
            "its first dimension does not follow the batch"
        )
    ends = np.cumsum(counts)
    return [array[end - count : end] for end, count in zip(ends, counts, strict=True)]
