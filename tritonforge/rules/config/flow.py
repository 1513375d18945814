"""Rules of how tensors flow through an ensemble, from its inputs over steps to its outputs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tritonforge.rules.config.ensemble import steps
from tritonforge.rules.places import near
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flow:
    """The tensors of an ensemble: those that each is made of, where it stands first, what is read.

    `ready` are those that come from the ensemble's inputs.
    """

    sources: dict[str, set[str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)


def _flow(config: Config) -> _Flow:
    """Follow the tensors through the steps."""
    flow = _Flow()
    for place, step in steps(config):
        inputs = set(step.input_map.values())
        for name in sorted(inputs):
            flow.sources.setdefault(name, set())
            flow.places.setdefault(name, f"{place}.input_map")
        for name in sorted(step.output_map.values()):
            flow.sources.setdefault(name, set()).update(inputs)
            flow.places.setdefault(name, f"{place}.output_map")
        if step.output_map:
            flow.read.update(inputs)
    flow.ready.update(each.name for each in config.message.input if each.name in flow.sources)
    _spread(flow)
    return flow


def _spread(flow: _Flow) -> None:
    """Find what comes of the tensors that are ready: a tensor is once all that make it are."""
    followers: dict[str, list[str]] = {}
    missing = {name: set(sources) for name, sources in flow.sources.items()}
    for name, sources in flow.sources.items():
        for source in sources:
            followers.setdefault(source, []).append(name)
    left = [*flow.ready]
    while left:
        source = left.pop()
        for name in followers.get(source, ()):
            missing[name].discard(source)
            if not missing[name] and name not in flow.ready:
                flow.ready.add(name)
                left.append(name)


def _named(config: Config, kind: str) -> Iterator[tuple[str, Any]]:
    """Yield the inputs or outputs of an ensemble that has steps."""
    if config.message.ensemble_scheduling.step:
        for number, entry in enumerate(getattr(config.message, kind)):
            yield f"{kind}[{number}]", entry


@rule("ENS111", "refused", is_lasting=True)
def used_tensors(config: Config) -> Iterator[Found]:
    """An input or output of an ensemble is a tensor of its steps.

    The server takes one that no step maps for a mistake.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (ValidateEnsembleSchedulingConfig).
    Remedy: mend the name, map it in a step, or take it out.
    """
    tensors = _flow(config).sources
    for kind in ("input", "output"):
        for place, entry in _named(config, kind):
            if entry.name not in tensors:
                hint = near(entry.name, tensors)
                yield Found(
                    said=f"no step maps the {kind} {entry.name!r} of the ensemble{hint}",
                    at=f"{place}.name",
                )


@rule("ENS112", "refused", is_lasting=True)
def written_outputs(config: Config) -> Iterator[Found]:
    """An output of an ensemble comes of its inputs.

    Each tensor on the way must be an input of the ensemble or an output of a step, and no step may
    wait for itself.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (ValidateEnsembleSchedulingConfig).
    Remedy: mend the tensor that the sentence names.
    """
    flow = _flow(config)
    for place, entry in _named(config, "output"):
        if entry.name in flow.sources and entry.name not in flow.ready:
            cause = _cause(entry.name, flow)
            why = f": nothing gives {cause!r}" if cause else ": it waits for itself"
            hint = near(cause, flow.ready) if cause else ""
            yield Found(
                said=f"the output {entry.name!r} of the ensemble is not written{why}{hint}",
                at=f"{place}.name",
            )


def _cause(name: str, flow: _Flow) -> str:
    """Return the first tensor that nothing gives, on the way back; nothing in a circle."""
    left, seen = [name], {name}
    while left:
        each = left.pop()
        if not flow.sources[each]:
            return each
        new = sorted(flow.sources[each] - flow.ready - seen)
        seen.update(new)
        left += new
    return ""


@rule("ENS113", "refused", is_lasting=True)
def no_spare_tensors(config: Config) -> Iterator[Found]:
    """What a step gives is taken by another, or is an output of the ensemble.

    The server takes one that is not for a mistake, and one that nothing gives too.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (ValidateEnsembleSchedulingConfig).
    Remedy: take the entry out of the map, or add the output to the ensemble.
    """
    flow = _flow(config)
    outputs = {each.name for each in config.message.output}
    told = any(name in flow.sources and name not in flow.ready for name in outputs)
    for name in sorted(flow.sources.keys() - outputs):
        if name not in flow.read:
            yield Found(said=f"nothing takes the tensor {name!r}", at=flow.places[name])
        elif name not in flow.ready and not told:
            yield Found(said=f"the tensor {name!r} never comes to be", at=flow.places[name])
