"""The inputs and outputs that a config lists, against those of the file."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.pbtxt.fitting.misfit import (
    Kind,
    Misfit,
    configured,
    near,
    sizes,
    together,
    type_of,
)
from tritonforge.pbtxt.sequencing import controls, filled
from tritonforge.tensors import Dim, Interface, Value


def names(message: Any, has: Interface) -> Iterator[Misfit]:
    """Yield what is listed and not there, there and not listed, or listed twice."""
    inputs = {each.name: each for each in has.inputs}
    spare = {each.name: each for each in has.optional}
    outputs = {each.name: each for each in has.outputs}
    yield from _unknown(message, "output", outputs, outputs)
    unlisted = _unlisted(message, has)
    yield from _unknown(message, "input", {**inputs, **spare}, unlisted)
    asked = {entry.name for entry in message.input}
    meant = {near(name, unlisted) for name in asked - inputs.keys() - spare.keys()}
    left = [each for each in unlisted if each not in meant]
    kind: Kind = "unlisted"
    if _count(message) == len(has.inputs) and not _missing(message, has):
        kind = "unlisted in their number"
        if filled(message) - inputs.keys():  # the one is told that stands for them
            left = []
    if len(left) > sum(not entry.name for entry in message.input):  # which may be meant, too
        for name in left:
            said = f"input {name!r} of the model is not listed"
            yield Misfit(kind=kind, at="input", said=said)
    yield from _counted(message, has)


def _count(message: Any) -> int:
    """Return how many inputs the backend counts: entries, a `batch_input` once for all targets."""
    added = len(message.batch_input) + len(controls(message))
    added += len(message.sequence_batching.state)
    return added + sum(not entry.optional for entry in message.input)


def _missing(message: Any, has: Interface) -> set[str]:
    """Return the inputs and controls that the file does not have, for which the load fails."""
    inputs = {each.name for each in has.inputs}
    asked = {entry.name for entry in message.input} - {each.name for each in has.optional}
    return (asked | {each.name for each in controls(message)}) - inputs


def _unlisted(message: Any, has: Interface) -> dict[str, Value]:
    """Return the inputs of the file that neither a request nor Triton would give."""
    given = {entry.name for entry in message.input} | filled(message)
    return {each.name: each for each in has.inputs if each.name not in given}


def _unknown(
    message: Any, kind: Kind, known: Mapping[str, Value], free: Mapping[str, Value]
) -> Iterator[Misfit]:
    """Yield the tensors that the file does not have; `free` are those that may be meant."""
    entries = getattr(message, str(kind))
    asked = {entry.name for entry in entries}
    left = free.keys() - asked
    for place, entry in told_apart(str(kind), entries):
        if entry.name in known:
            continue
        meant = near(entry.name, left) if entry.name else _only(left)
        mends = () if meant is None else _named(message, kind, place, entry, free[meant])
        if not entry.name:
            if mends and sum(not each.name for each in entries) == 1:
                said = f"a tensor has no name, and {kind} {meant!r} of the model is not listed"
                yield Misfit(kind=kind, at=f"{place}.name", said=said, mends=mends)
            continue
        said = f"the model has no {kind} {entry.name!r}, only {together(known.values())}"
        said += "" if meant is None else f": did you mean {meant!r}?"
        yield Misfit(kind=kind, at=f"{place}.name", said=said, mends=mends)


def _only(names: Collection[str]) -> str | None:
    """Return the name that is the only one, None for none or several."""
    return next(iter(names)) if len(names) == 1 else None


def _named(
    message: Any, kind: Kind, place: str, entry: Any, value: Value
) -> tuple[tuple[str, str], ...]:
    """Return the edit that gives an entry a tensor's name, where it then fits."""
    fits = next(_tensor(message, kind, place, entry, value, scalars=True), None) is None
    return ((f"{place}.name", f'"{value.name}"'),) if fits and value.name.isidentifier() else ()


def _counted(message: Any, has: Interface) -> Iterator[Misfit]:
    """Yield what makes the number of inputs another than the file's, all names being known.

    The backend counts entries: one that is optional is to be a weight of the file, and one of
    `batch_input` counts once, however many inputs it fills in.
    """
    inputs = {each.name for each in has.inputs}
    count = _count(message)
    if count == len(inputs) or _missing(message, has) or _unlisted(message, has):
        return
    for place, entry in told_apart("input", message.input):
        if entry.optional and entry.name in inputs:
            said = f"{entry.name!r} is optional, and the model needs it: it has no value of its own"
            yield Misfit(kind="count", at=f"{place}.optional", said=said)
            return
        if not entry.optional and entry.name not in inputs:
            said = f"{entry.name!r} is a weight of the model, and not called optional"
            mends = ((f"{place}.optional", "true"),) if message.max_batch_size <= 0 else ()
            yield Misfit(kind="count", at=place, said=said, mends=mends)
            return
    given = f"{count} input{'s' * (count != 1)}"
    said = f"the config gives {given} and the model has {len(inputs)}: each counts once"
    yield Misfit(kind="count", at="input", said=said)


def forms(has: Interface) -> Iterator[Misfit]:
    """Yield the inputs and outputs of the file that are no tensors."""
    for kind, values in (("input", (*has.inputs, *has.optional)), ("output", has.outputs)):
        for each in values:
            if not each.type.startswith("tensor("):
                said = f"the {kind} {each.name!r} of the model is {each.type}, and no tensor"
                yield Misfit(kind="form", at="", said=said)


def tensors(message: Any, has: Interface, *, scalars: bool) -> Iterator[Misfit]:
    """Yield what of a tensor differs from the file's of that name."""
    inputs = {each.name: each for each in (*has.inputs, *has.optional)}
    outputs = {each.name: each for each in has.outputs}
    kinds: tuple[tuple[Kind, Mapping[str, Value]], ...] = (("input", inputs), ("output", outputs))
    for kind, known in kinds:
        for place, entry in told_apart(str(kind), getattr(message, str(kind))):
            if entry.name in known:
                value = known[entry.name]
                found = [*_tensor(message, kind, place, entry, value, scalars=scalars)]
                if value.otherwise is not None:
                    other = replace(value, dims=value.otherwise, otherwise=None)
                    others = [*_tensor(message, kind, place, entry, other, scalars=scalars)]
                    found = _doubted(f"{place}.dims", entry.name, value.otherwise, found, others)
                yield from found


def _doubted(
    at: str, name: str, nodes: tuple[Dim, ...], found: list[Misfit], others: list[Misfit]
) -> list[Misfit]:
    """Return what differs of a tensor whichever of two shapes it has, and else that it depends."""
    if found and others:
        return [replace(each, mends=()) for each in others]
    if not found and not others:
        return []
    given = sizes([-1 if isinstance(each, str) else each for each in nodes])
    said = f"the nodes give {name!r} the shape {given} and the file states another: ONNX Runtime's"
    said += " optimizations decide which of them has to fit the config"
    return [Misfit(kind="shape in doubt", at=at, said=said)]


def _tensor(
    message: Any, kind: Kind, place: str, entry: Any, value: Value, *, scalars: bool
) -> Iterator[Misfit]:
    """Yield what of one tensor differs."""
    wanted, given = type_of(entry), configured(value)
    if given is not None and wanted not in {given, "TYPE_INVALID"}:
        said = f"{entry.name!r} is {wanted} but the model has {given}"
        mends = ((f"{place}.data_type", given),)
        yield Misfit(kind="dtype", at=f"{place}.data_type", said=said, mends=mends)
    if kind == "input" and entry.allow_ragged_batch:
        if value.sizes != (-1,):
            said = f"{entry.name!r} is ragged, and the model has {sizes(value.sizes)}, not [-1]"
            yield Misfit(kind="ragged", at=f"{place}.allow_ragged_batch", said=said)
        return
    scattered = {name for each in message.batch_output for name in each.target_name}
    if kind == "input" or entry.name not in scattered:
        yield from _shape(message, kind, place, entry, value, scalars=scalars)


def _shape(
    message: Any, kind: Kind, place: str, entry: Any, value: Value, *, scalars: bool
) -> Iterator[Misfit]:
    """Yield what of a tensor's shape differs; the batch is none of the config's dims."""
    field = "reshape.shape" if entry.HasField("reshape") else "dims"
    dims = list(entry.reshape.shape if entry.HasField("reshape") else entry.dims)
    at = f"{place}.{field}"
    if not value.dims and scalars:
        if any(size != 1 for size in dims):
            said = f"{entry.name!r} has dims {sizes(dims)} but the model has none: write [ 1 ]"
            mends = () if entry.HasField("reshape") else ((at, "[ 1 ]"),)
            yield Misfit(kind="scalar", at=at, said=said, mends=mends)
        return
    batched = message.max_batch_size > 0
    if batched and value.sizes[:1] != (-1,):  # told as such
        return
    model = list(value.sizes[1:] if batched else value.sizes)
    said = f"{entry.name!r} has dims {sizes(dims)} but the model has {sizes(model)}"
    if len(dims) != len(model):
        yield _rank(message, at, said, dims, value)
        return
    differ = [
        number
        for number, (want, have) in enumerate(zip(dims, model, strict=True))
        if want != have and (have != -1 or kind == "output")
    ]
    if differ:
        exact = not entry.HasField("reshape") and 0 not in model
        yield Misfit(
            kind="size of input" if kind == "input" else "size of output",
            at=f"{at}[{differ[0]}]",
            said=said,
            mends=tuple((f"{at}[{each}]", str(model[each])) for each in differ) if exact else (),
        )


def _rank(message: Any, at: str, said: str, dims: list[int], value: Value) -> Misfit:
    """Make a misfit of dims that are too many or too few; the batch may be among them, or not."""
    whole = list(value.sizes)
    mends: tuple[tuple[str, str], ...] = ()
    if message.max_batch_size > 0 and dims == whole:
        said += ": max_batch_size stands for the first dimension"
        if len(dims) > 1:
            mends = ((at, f"[ {', '.join(map(str, whole[1:]))} ]"),)
    elif message.max_batch_size <= 0 and dims == whole[1:]:
        said += ": with max_batch_size 0 the first dimension is written, too"
    return Misfit(kind="rank", at=at, said=said, mends=mends)
