"""What a release's ONNX Runtime backend and execution providers take, from `data/backend.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from tritonforge.release import RUNTIME, Release

Kind = Literal["choice", "switch", "integer", "size", "address", "arenas", "text"]
Group = Literal["tensorrt", "cuda", "parameters"]
Table = Literal["gpu_accelerators", "cpu_accelerators", "graph_levels", "data_types"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of the backend, of an execution provider or of the model's parameters.

    `since` is the first tag that takes it, of CUDA's options the first ONNX Runtime; None is the
    oldest that is known. From the tag `ends` on it has no effect; None is never. `values` are those
    that it takes, each with its own first tag; none where any of its kind will do.
    """

    name: str
    kind: Kind
    since: str | None
    ends: str | None
    values: Mapping[str, str | None]

    def idle(self, release: Release) -> bool:
        """Say whether a release takes the key to no effect; of a mere ONNX Runtime none is told."""
        return not _bare(release) and self.ends is not None and release.tag >= self.ends


def tensorrt_keys(release: Release) -> Mapping[str, Key]:
    """Return what the accelerator `tensorrt` of a release takes; another key fails the load."""
    return taken("tensorrt", release)


def cuda_options(release: Release) -> Mapping[str, Key]:
    """Return what the accelerator `cuda` of a release takes, if it takes that at all."""
    return taken("cuda", release) if since_in("gpu_accelerators", "cuda", release) else {}


def parameters(release: Release) -> Mapping[str, Key]:
    """Return which parameters of a model a release reads; others it passes over in silence."""
    return taken("parameters", release)


@cache
def taken(group: Group, release: Release) -> Mapping[str, Key]:
    """Return the keys of a group that a release takes, by name."""
    since = runs if group == "cuda" else begun
    return {name: key for name, key in known(group).items() if since(key.since, release)}


@cache
def known(group: Group) -> Mapping[str, Key]:
    """Return every key of a group that some release takes, by name."""
    return {name: Key(name=name, **row) for name, row in _table()[group].items()}


def sinces(table: Table) -> Mapping[str, str | None]:
    """Return the names of accelerators, levels or data types with the first tag that takes each."""
    found: Mapping[str, str | None] = _table()[table]
    return found


def since_in(table: Table, name: str, release: Release) -> bool:
    """Say whether a release takes an accelerator, a level or a data type."""
    return name in sinces(table) and begun(sinces(table)[name], release)


def reset() -> Mapping[str, str]:
    """Return what the backend sets anew behind the accelerator `cuda`, and where to write it."""
    found: Mapping[str, str] = _table()["reset"]
    return found


def unread() -> Mapping[str, str]:
    """Return the fields that no ONNX Runtime model has read, and who reads them instead."""
    found: Mapping[str, str] = _table()["unread"]
    return found


def begun(since: str | None, release: Release) -> bool:
    """Say whether a release is of a tag or newer; an ONNX Runtime alone is of the newest."""
    return since is None or _bare(release) or release.tag >= since


def runs(since: str | None, release: Release) -> bool:
    """Say whether the ONNX Runtime of a release is of a version such as `1.18` or newer."""
    return since is None or release.minor >= tuple(map(int, since.split(".")))


def _bare(release: Release) -> bool:
    """Say whether a target is an ONNX Runtime, of whose image nothing is known."""
    return release.tag.startswith(RUNTIME)


@cache
def _table() -> Any:
    """Read the data file once."""
    return json.loads(files("tritonforge").joinpath("data/backend.json").read_text("utf-8"))
