"""Which kernels each ONNX Runtime registers, by provider: read from `data/kernels.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Provider = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One registration of an operator: the since-versions and types that it takes.

    `types` maps a type parameter of the schema, or the name of an input, to the element types, such
    as `float`; others than tensors are written whole, such as `seq(tensor(float))`.
    """

    since: int
    until: int | None
    types: Mapping[str, frozenset[str]]

    def covers(self, since_version: int) -> bool:
        """Say whether it serves an operator as defined since that version.

        One without an end serves its own version alone, not the later ones: hence nodes go to
        another provider without a word. Source: onnxruntime `kernel_registry.cc`.
        """
        if self.until is None:
            return since_version == self.since
        return self.since <= since_version <= self.until


@cache
def kernels(runtime: str, provider: Provider, domain: str, op: str) -> tuple[Kernel, ...]:
    """Return what an ONNX Runtime such as `1.19.2` registers for an operator; patches agree.

    The domain of ONNX's own operators is `ai.onnx`.
    """
    table = _table()
    index = _index(".".join(runtime.split(".")[:2]))
    return tuple(
        Kernel(since=since, until=until, types=_types(number))
        for since, until, number, first, last in table["kernels"].get(
            f"{provider} {domain} {op}", ()
        )
        if first <= index <= last
    )


@cache
def _index(minor: str) -> int:
    return list(_table()["runtimes"]).index(minor)


@cache
def _types(number: int) -> Mapping[str, frozenset[str]]:
    return {name: frozenset(types) for name, types in _table()["types"][number].items()}


@cache
def _table() -> Any:
    """Read the data file once."""
    return json.loads(files("tritonforge").joinpath("data/kernels.json").read_text("utf-8"))
