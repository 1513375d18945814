"""An `ExportedProgram` that torch.export.save wrote: `model.pt2`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tritonforge.errors import SourceError
from tritonforge.sources import given
from tritonforge.sources.given import model_name, origin
from tritonforge.sources.program import archive
from tritonforge.sources.protocol import Loaded
from tritonforge.spec import ModelSpec, Range
from tritonforge.tensors import Dim, DType, TensorSpec

__all__ = ["SUFFIXES", "claims", "load", "model_name", "origin"]

SUFFIXES = (".pt2",)
_ENDLESS = 2**31  # torch's own end of a size that has none lies beyond


def claims(text: str) -> bool:
    """Take every path that ends in `.pt2`."""
    return text.lower().endswith(SUFFIXES)


def load(text: str, spec: ModelSpec) -> Loaded:
    """Load the program, which holds its weights, its inputs, and which dimensions are dynamic."""
    import torch

    from tritonforge.sources import weights as states

    path = given.file(text)
    given.own_weights(spec, "an exported program")
    if spec.inputs:
        raise SourceError(
            "--input does not apply to an exported program",
            hint="leave it out: the program itself states its inputs",
        )
    archive.check(path)
    try:
        with states.nothing_but_tensors(), _quiet():
            program = torch.export.load(path)
        module = program.module()
    except Exception as error:  # a damaged archive fails in many ways
        raise SourceError(
            f"cannot read {path}: {states.reason(error)}",
            hint="write it with torch.export.save, by a torch that is no newer than this",
        ) from error
    inputs, ranges = _described(program, text)
    most = ranges.pop("batch", Range()).high
    if most is not None and most < spec.max_batch_size:
        raise SourceError(
            f"{text} takes batches of {most} at most", hint=f"give --max-batch-size {most}"
        )
    return Loaded(
        module=module,
        inputs=inputs,
        ranges=ranges,
        asked=True,
        weights=f"file {text}",
        weights_sha256=states.fingerprint(module),
        versions={"torch": torch.__version__},
        read=(path.absolute(),),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from writing the traceback of what it raises to stderr, too."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _described(program: Any, text: str) -> tuple[tuple[TensorSpec, ...], dict[str, Range]]:
    """Return the inputs of a program, and the sizes that its dynamic dimensions take.

    A program has forgotten how its dimensions were called: the first of an input is the batch,
    others are named after the input and their place.
    """
    values = {
        node.name: node.meta.get("val") for node in program.graph.find_nodes(op="placeholder")
    }
    names: dict[str, str] = {}
    inputs = []
    for name in program.graph_signature.user_inputs:
        shape = getattr(values.get(name), "shape", None)
        if shape is None:
            raise SourceError(
                f"the input {name!r} of {text} is no tensor, which a request cannot carry",
                hint="export the module for tensors alone, the other arguments fixed",
            )
        dims: list[Dim] = []
        for axis, size in enumerate(shape):
            called = "batch" if axis == 0 else f"{name}_{axis}"
            fixed = isinstance(size, int)
            dims.append(int(size) if fixed else names.setdefault(str(size), called))
        inputs.append(TensorSpec(name=name, dtype=_dtype(values[name]), dims=tuple(dims)))
    return tuple(inputs), {
        names[str(symbol)]: _range(bounds)
        for symbol, bounds in program.range_constraints.items()
        if str(symbol) in names
    }


def _dtype(value: Any) -> DType:
    """Return the dtype of an input."""
    return DType.parse(str(value.dtype).removeprefix("torch."))


def _range(bounds: Any) -> Range:
    """Return the sizes that torch found; none is 0 here, and its own infinity is no end."""
    low, high = bounds.lower, bounds.upper
    endless = bool(high >= _ENDLESS)  # torch's infinity says that it is finite
    return Range(low=max(int(low), 1), high=None if endless else int(high))
