"""What a module returns, taken apart: each value with a stable name, and how it is reached."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A value without parts; `reach` is what TorchScript writes behind the result to get it."""

    name: str
    reach: tuple[str, ...]
    value: Any

    @property
    def is_tensor(self) -> bool:
        """Say whether it can become an output."""
        return isinstance(self.value, torch.Tensor)

    @property
    def what(self) -> str:
        """Say what it is where it is no tensor."""
        kind = "None" if self.value is None else f"of type {type(self.value).__name__}, no tensor"
        return f"output {self.name!r} is {kind}"


def leaves(name: str, value: Any, inside: str = "", reach: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Yield each value of a nested result under a stable name, those that are no tensors too."""
    if isinstance(value, torch.Tensor):
        yield Leaf(name=inside or name, reach=reach, value=value)
        return
    parts: list[tuple[str, str, Any]] = []
    if isinstance(value, Mapping):
        parts = [(str(key), f"[{key!r}]", part) for key, part in value.items()]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
        parts = [(field, f".{field}", part) for field, part in named]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        pairs = enumerate(zip(value._fields, value, strict=True))
        parts = [(field, f"[{index}]", part) for index, (field, part) in pairs]
    elif isinstance(value, list | tuple) and len(value) == 1:
        yield from leaves(name, value[0], inside, (*reach, "[0]"))
    elif isinstance(value, list | tuple):
        counted = enumerate(value)
        parts = [(f"{inside or name}_{at}", f"[{at}]", part) for at, part in counted]
        inside = ""
    else:
        yield Leaf(name=inside or name, reach=reach, value=value)
    for key, step, part in parts:
        yield from leaves(name, part, f"{inside}_{key}" if inside else key, (*reach, step))
