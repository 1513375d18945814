"""What a model's file says, whatever its config, as it is worked out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge import formed, graph, placement
from tritonforge.errors import GraphError
from tritonforge.facts.landing import landing
from tritonforge.graph import lean
from tritonforge.graph.external import Needed, needed, takes_in
from tritonforge.release import Release
from tritonforge.spec import Accelerator
from tritonforge.tensors import Interface

if TYPE_CHECKING:
    from onnx import ModelProto

_INNER = ("Loop", "Scan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a file beside its place; see `rules.Content`, where each is told."""

    has: Interface
    refusal: str | None
    needs: tuple[Needed, ...]
    domains: tuple[str, ...]
    inner: Mapping[str, int]
    cached_by: graph.CachedBy
    on_cpu: Mapping[str, int]
    widened: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """For what a file is judged: a release, and what of a machine a config asks for.

    `may_use_gpu` says that a server with a GPU would put instances on it, asked for or not.
    """

    release: Release
    accelerator: Accelerator
    may_use_gpu: bool


def told(path: Path, thin: bytes, asked: Asked) -> tuple[Facts, bool]:
    """Work out what a file says, of which this was read; and whether it depends on other files."""
    model = lean.parsed(thin, path)
    depends = takes_in(model)
    return _sound(path, model, asked), depends


def _sound(path: Path, model: "ModelProto", asked: Asked) -> Facts:
    """Work out what a file says; raises `GraphError` for one that does not hold together."""
    try:
        if (fault := graph.unsound(model)) is not None:
            raise GraphError(fault, hint="export the model again")
        found = _facts(path, model, asked)
        formed.check(found, Facts)
        return found
    except (TypeError, ValueError, AttributeError) as error:  # bytes in place of a text
        if graph.is_legible(model):
            raise
        raise GraphError("a text in it is not UTF-8", hint="download it again") from error


def _facts(path: Path, model: "ModelProto", asked: Asked) -> Facts:
    """Work out what a file says; small weights beside it are taken into the model, in place."""
    files = needed(model)
    given = placement.read(placement.prepared(path, model))
    refusal = placement.refusal(given, asked.release, gpu=asked.may_use_gpu)
    on_cpu, widened = ({}, {}) if refusal else landing(given, asked.release, asked.accelerator)
    if asked.may_use_gpu and asked.accelerator == "cpu":  # a GPU takes what the CPU lacks
        widened = {}
    return Facts(
        has=graph.interface(model, None if given.resolved is None else given.resolved.model),
        refusal=refusal,
        needs=files,
        domains=tuple(sorted(given.opsets.keys() - {each.domain for each in model.functions})),
        inner=dict(Counter(node.op for node in given.written if node.op in _INNER)),
        cached_by=graph.cached_by(model),
        on_cpu=on_cpu,
        widened=widened,
    )
