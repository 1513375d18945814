"""Whether a file batches where a config says so."""

from collections.abc import Iterator
from typing import Any

from tritonforge.pbtxt.fitting.misfit import Kind, Misfit, together
from tritonforge.pbtxt.sequencing import filled
from tritonforge.tensors import Interface, Value


def stated(message: Any, has: Interface, *, scalars: bool) -> Iterator[Misfit]:
    """Yield why requests cannot be put together, or would be along what is no batch.

    Where the release takes scalars it looks for no batch in them.
    """
    most = message.max_batch_size
    if most <= 0:
        return
    ragged = {entry.name for entry in message.input if entry.allow_ragged_batch}
    scattered = {name for each in message.batch_output for name in each.target_name}
    asked = {entry.name for entry in message.input} - ragged
    wanted = {entry.name for entry in message.output} - scattered
    inputs = [each for each in (*has.inputs, *has.optional) if each.name in asked]
    outputs = [each for each in has.outputs if each.name in wanted]
    said = f"max_batch_size is {most} but the model cannot batch:"
    fixed = [each for each in (*inputs, *outputs) if each.dims and each.sizes[0] != -1]
    if fixed:
        first = f"{fixed[0].name!r} has {fixed[0].sizes[0]}"
        yield Misfit(kind="batch", at="max_batch_size", said=f"{said} {_all(fixed)}, {first}")
        return
    single = [each for each in ((*inputs,) if scalars else (*inputs, *outputs)) if not each.dims]
    if single:
        kind: Kind = "scalar in batch" if scalars else "batch"
        said = f"{said} {together(single)} has no rows"
        yield Misfit(kind=kind, at="max_batch_size", said=said)
    yield from _apart(message, [each for each in inputs if each.dims])


def _all(fixed: list[Value]) -> str:
    """Say of which tensors the first dimension is a number."""
    return f"the first dimension of {together(fixed)} is a number"


def _apart(message: Any, inputs: list[Value]) -> Iterator[Misfit]:
    """Yield inputs whose first dimensions have other names: they are of other things."""
    firsts = {str(each.dims[0]): each.name for each in inputs if each.name not in filled(message)}
    named = {name: tensor for name, tensor in firsts.items() if name}
    if len(named) > 1:
        (one, a), (other, b), *_ = named.items()
        yield Misfit(
            kind="batch of others",
            at="max_batch_size",
            said=f"max_batch_size is {message.max_batch_size} but the model cannot batch: the first"
            f" dimension of {a!r} is {one!r}, that of {b!r} {other!r}",
        )
