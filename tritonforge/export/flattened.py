"""A module that returns its tensors alone, side by side: what both exporters can write.

dynamo stumbles over numbers and dataclasses, the TorchScript exporter over the dicts, lists and
arguments with defaults of a scripted module.
"""

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree

from tritonforge.errors import ExportError
from tritonforge.export.calling import binder, is_scripted, named, returned, tensors
from tritonforge.export.leaves import Leaf, leaves
from tritonforge.tensors import Arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Flattened:
    """A module to export in another's place, the names of its outputs, and what they leave out."""

    module: nn.Module
    outputs: tuple[str, ...]
    notes: tuple[str, ...]


def flattened(module: nn.Module, inputs: Sequence[str], sample: Arrays) -> Flattened:
    """Run a module once and flatten what it returns; raises `ExportError`."""
    result = returned(module, binder(module, inputs)(tensors(sample)))
    found = list(leaves("output", result))
    outputs = named(found, inputs)
    plain: nn.Module = module
    if is_scripted(module):
        plain = _scripted(module, inputs, found)
    elif not _is_plain(result, found):
        plain = _Flat(module, [index for index, each in enumerate(found) if each.is_tensor])
    return Flattened(
        module=plain,
        outputs=outputs,
        notes=tuple(f"{each.what}, and left out" for each in found if not each.is_tensor),
    )


def _is_plain(result: Any, found: Sequence[Leaf]) -> bool:
    """Say whether torch takes a result apart as we do, into tensors and None, and names it so."""
    paths, _ = _pytree.tree_flatten_with_path(result)
    keys = [key.key for path, _ in paths for key in path if isinstance(key, _pytree.MappingKey)]
    if not all(isinstance(key, str) for key in keys):
        return False
    theirs = [each for each in _pytree.tree_leaves(result) if each is not None]
    ours = [each.value for each in found if each.value is not None]
    return list(map(id, theirs)) == list(map(id, ours)) and all(
        isinstance(each, torch.Tensor) for each in ours
    )


class _Flat(nn.Module):
    """Calls a module as it is called itself; `kept` counts the values that are its outputs."""

    def __init__(self, module: nn.Module, kept: Sequence[int]) -> None:
        super().__init__()
        self.module = module
        self.training = module.training  # an exporter puts all inside into the outermost's mode

        @functools.wraps(module.forward)  # torch.export binds by the signature
        def forward(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
            found = list(leaves("output", module(*args, **kwargs)))
            return tuple(found[index].value for index in kept)

        self.forward = forward


def _scripted(module: nn.Module, inputs: Sequence[str], found: Sequence[Leaf]) -> nn.Module:
    """Write the call of a scripted module with these inputs, and what to take of its result."""
    variables = {name: f"x{index}" for index, name in enumerate(inputs)}
    args, kwargs = binder(module, inputs)(variables)
    call = ", ".join([*args, *(f"{name}={value}" for name, value in kwargs.items())])
    gives: Any = getattr(module.forward, "schema").returns[0].type  # noqa: B009 - unknown to mypy
    wanted = ", ".join(_reached(each, gives) for each in found if each.is_tensor)
    # A class of its own: torch gives those of one class one type, whose forward is written once.
    holder = type("Bound", (nn.Module,), {})().eval()
    holder.module = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch would have everybody leave it
        bound: torch.jit.ScriptModule = torch.jit.script(holder)
    try:
        bound.define(
            f"def forward(self, {', '.join(variables.values())}):\n"
            f"    result = self.module({call})\n    return {wanted}\n"
        )
    except RuntimeError as error:
        said = next(filter(None, str(error).splitlines()), "no reason given")
        raise ExportError(
            f"what the scripted model returns cannot be taken apart: {said}",
            hint="return tensors, or tuples, lists and dicts of them",
        ) from error
    return bound


def _reached(leaf: Leaf, kind: Any) -> str:
    """Write how a tensor is got from a result of a type; what may be None is taken not to be."""
    text = "result"
    for step in leaf.reach:
        if kind is not None and kind.kind() == "OptionalType":
            text, kind = f"torch.jit._unwrap_optional({text})", kind.getElementType()
        text, kind = f"{text}{step}", _part(kind, step)
    return f"torch.jit._unwrap_optional({text})"


def _part(kind: Any, step: str) -> Any:
    """Return the type of a part, None where the whole does not tell it."""
    name = None if kind is None else kind.kind()
    if name == "TupleType":
        return kind.elements()[int(step[1:-1])]
    if name == "ListType":
        return kind.getElementType()
    return kind.getValueType() if name == "DictType" else None
