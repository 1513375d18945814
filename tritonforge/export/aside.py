"""A module's weights put aside in a file, while something else needs the memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A weight, and how it lies in the bytes that it may share with others."""

    tensor: torch.Tensor
    dtype: torch.dtype
    offset: int
    shape: torch.Size
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """The weights of a module, by the bytes that they share, and the file that holds them all.

    The module computes nothing while they are away. `leave` frees them, `back` reads them.
    """

    path: Path
    parts: tuple[tuple[int, tuple[_View, ...]], ...]

    def leave(self) -> None:
        """Free the memory of the weights."""
        for _, views in self.parts:
            for view in views:
                view.tensor.data = torch.empty(0, dtype=view.tensor.dtype)

    def back(self) -> None:
        """Read the weights again, where they are away."""
        if any(view.tensor.numel() for _, views in self.parts for view in views):
            return
        with self.path.open("rb") as file:
            for size, views in self.parts:
                held = torch.from_numpy(np.fromfile(file, np.uint8, size)).untyped_storage()
                for view in views:
                    empty = torch.empty(0, dtype=view.dtype)
                    view.tensor.data = empty.set_(held, view.offset, view.shape, view.strides)


@contextmanager
def put_aside(module: nn.Module, path: Path) -> Iterator[Aside]:
    """Write the weights of a module to a file, for them to be freed and read again."""
    groups: dict[int, list[torch.Tensor]] = {}
    for tensor in {id(each): each for each in (*module.parameters(), *module.buffers())}.values():
        if _is_plain(tensor):
            groups.setdefault(tensor.untyped_storage().data_ptr(), []).append(tensor)
    parts = []
    with path.open("wb") as file:
        for group in groups.values():
            held = _bytes(group[0])
            file.write(held)  # `tofile` would not say why it failed
            parts.append((held.size, tuple(map(_view, group))))
    aside = Aside(path=path, parts=tuple(parts))
    try:
        yield aside
    finally:
        path.unlink()


def _is_plain(tensor: torch.Tensor) -> bool:
    """Say whether a tensor is bytes in memory, and no wrapper around others."""
    plain = type(tensor) in {torch.Tensor, nn.Parameter} and tensor.layout is torch.strided
    return plain and tensor.device.type == "cpu" and not tensor.is_quantized and tensor.numel() > 0


def _bytes(tensor: torch.Tensor) -> Any:
    """Return all bytes that a tensor is a view of, without a copy."""
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).numpy()


def _view(tensor: torch.Tensor) -> _View:
    """Say how a tensor lies in its bytes."""
    return _View(
        tensor=tensor,
        dtype=tensor.dtype,
        offset=int(tensor.storage_offset()),
        shape=tensor.shape,
        strides=tensor.stride(),
    )
