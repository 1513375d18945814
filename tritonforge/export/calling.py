"""The module itself: how named arrays become its arguments, and what it returns named arrays."""

import copy
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

import numpy as np
import torch
from torch import nn

from tritonforge.errors import ExportError
from tritonforge.explain import failure
from tritonforge.export.leaves import Leaf, leaves
from tritonforge.export.silence import quiet
from tritonforge.tensors import Arrays, Run

Call = tuple[tuple[Any, ...], dict[str, Any]]


class CallError(ExportError):
    """The model itself fails; `said` is what it raised, and where.

    `lacking` are arguments that it speaks of and was not given.
    """

    def __init__(self, shapes: str, said: str, lacking: Sequence[str] = ()) -> None:
        hint = (
            "check --input, --range, --domain and --sample: names, sizes and values must suit the"
            " model"
        )
        if lacking:
            hint = (
                f"state every input that it needs, {' and '.join(lacking)} too, as in --input"
                f" {lacking[0]}:FP32:batch,4"
            )
        super().__init__(f"the model itself fails on {shapes}: {said}", hint=hint)
        self.said = said


def is_scripted(module: nn.Module) -> bool:
    """Say whether the module is TorchScript, which only the TorchScript exporter reads."""
    return isinstance(module, torch.jit.ScriptModule)


def eager(module: nn.Module, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    """Return the module as a `Run` without gradients, its outputs flattened and named."""
    bind = binder(module, inputs)

    def run(arrays: Arrays) -> Arrays:
        found = leaves("output", returned(module, bind(tensors(arrays))))
        values = [each.value for each in found if each.is_tensor]
        if len(values) != len(outputs):
            raise ExportError(
                f"the model returned {len(values)} tensors where it returned {len(outputs)} before",
                hint="return the same outputs whatever the inputs are",
            )
        named = zip(outputs, values, strict=True)
        return {name: value.detach().cpu().numpy() for name, value in named}

    return run


def exact(
    module: nn.Module, inputs: Sequence[str], outputs: Sequence[str], *, copied: bool = True
) -> Run:
    """Return a copy of the module in double precision as a `Run`: it tells how exact eager is.

    Where it is not `copied`, the module itself is changed.
    """
    try:
        double = eager((copy.deepcopy(module) if copied else module).double(), inputs, outputs)
    except Exception as error:  # a module may refuse to be copied or cast in its own way
        raise ExportError(f"the model has no form in double precision: {error}") from error

    def run(arrays: Arrays) -> Arrays:
        return double(
            {
                name: array.astype(np.float64) if array.dtype.kind == "f" else array
                for name, array in arrays.items()
            }
        )

    return run


def named(found: Sequence[Leaf], inputs: Sequence[str]) -> tuple[str, ...]:
    """Name the outputs among the values that a module returns; raises `ExportError` for none."""
    taken = list(inputs)
    for each in found:
        if not each.is_tensor:
            continue
        # The TorchScript exporter takes no number for a name.
        free = f"output_{each.name}" if each.name.isdecimal() else each.name
        while free in taken:
            free += "_out"
        taken.append(free)
        if each.value.is_complex():
            raise ExportError(
                f"the output {each.name!r} is complex, which Triton cannot serve",
                hint="return torch.view_as_real of it, or its abs()",
            )
    if len(taken) == len(inputs):
        raise ExportError(
            "the model returns no tensor" + "".join(f": {each.what}" for each in found[:1]),
            hint="return at least one tensor",
        )
    return tuple(taken[len(inputs) :])


def returned(module: nn.Module, call: Call) -> Any:
    """Call the module; raises `CallError` for whatever it raises."""
    args, kwargs = call
    try:
        with torch.inference_mode(), quiet():
            return module(*args, **kwargs)
    except Exception as error:  # the user's model may raise anything
        found = failure(error, _traceback(error))
        where = f" at {found.where}" if found.where else ""
        lacking = _lacking(module, call, found.said)
        raise CallError(_shapes(call), f"{found.said}{where}", lacking) from error


def _lacking(module: nn.Module, call: Call, said: str) -> list[str]:
    """Name the arguments that a call does without though the module speaks of them.

    A name that is a plain word speaks of itself in quotes alone: a size may be any.
    """
    args, kwargs = call
    spare = [name for name in [*arguments(module)][len(args) :] if name not in kwargs]
    words = set(re.findall(r"\w*_\w*", said)) | set(re.findall(r"[`'\"](\w+)[`'\"]", said))
    return [name for name in spare if name in words]


def binder(module: nn.Module, names: Sequence[str]) -> Callable[[Mapping[str, Any]], Call]:
    """Return how named values become the arguments of `forward`.

    By position where the names are its first arguments, or not its arguments at all; by keyword
    where some argument between is left out.
    """
    known = arguments(module)
    first = [name for name, kind in known.items() if kind is not Parameter.KEYWORD_ONLY]
    if list(names) != first[: len(names)] and set(names) <= set(known):
        ordered = sorted(names, key=list(known).index)
        return lambda values: ((), {name: values[name] for name in ordered})
    return lambda values: (tuple(values[name] for name in names), {})


def arguments(module: nn.Module) -> dict[str, Any]:
    """Return the arguments of `forward` and their kinds; a scripted module tells by its schema."""
    schema = getattr(module.forward, "schema", None)
    if schema is not None:
        return {each.name: Parameter.POSITIONAL_OR_KEYWORD for each in schema.arguments[1:]}
    parameters = inspect.signature(module.forward).parameters
    return {name: each.kind for name, each in parameters.items()}


def optional(module: nn.Module, names: Sequence[str]) -> frozenset[str]:
    """Return which of the inputs `forward` does without; names not its own are by position."""
    schema = getattr(module.forward, "schema", None)
    if schema is not None:
        spare = {each.name: each.has_default_value() for each in schema.arguments[1:]}
    else:
        parameters = inspect.signature(module.forward).parameters.values()
        spare = {each.name: each.default is not Parameter.empty for each in parameters}
    if not set(names) <= set(spare):
        spare = dict(zip(names, spare.values(), strict=False))
    return frozenset(name for name in names if spare.get(name))


def tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    """Turn arrays into tensors that own their memory."""
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _shapes(call: Call) -> str:
    """Print the shapes of a call's tensors."""
    args, kwargs = call
    return ", ".join(str(list(each.shape)) for each in (*args, *kwargs.values())) or "no inputs"


def _traceback(error: BaseException) -> str:
    """Return the traceback as text, for its file and line."""
    import traceback

    return "".join(traceback.format_tb(error.__traceback__))
