"""Many requests as one run: which may be merged, merging and splitting. Knows only numpy."""

import numpy as np


class RequestError(Exception):
    """A request that cannot be read; its words are the answer, of this kind of `TritonError`."""

    kind = "INVALID_ARG"


class SplitError(Exception):
    """An output whose first dimension is not the batch that went in."""


def alike(feeds):
    """Group the keys of feeds that may be merged: same inputs, same shapes but the batch.

    Text comes as `str` or as bytes, which are not merged with each other.
    """
    groups = {}
    for position, feed in feeds.items():
        shapes = [(name, array.shape[1:], array.dtype.kind) for name, array in feed.items()]
        groups.setdefault(tuple(shapes), []).append(position)
    return list(groups.values())


def merge(feeds):
    """Put feeds of one group one after the other along the batch."""
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}


def rows(feed):
    """Return how many samples a feed holds."""
    return len(next(iter(feed.values())))


def check(names, arrays, total):
    """Raise `SplitError` where an output cannot be cut into the parts of a batch.

    A scalar is one part.
    """
    for name, array in zip(names, arrays, strict=True):
        if (array.shape[0] if array.shape else 1) != total:
            raise SplitError(
                f"output '{name}' has shape {list(array.shape)} for a batch of {total}: "
                "its first dimension does not follow the batch"
            )


def split(array, counts):
    """Yield the parts of an output, which share its memory."""
    start = 0
    for count in counts:
        yield array[start : start + count]
        start += count
