"""Rules of ensembles with a model that answers a request as often as it likes."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from tritonforge.rules.across.wiring import Step, ensembles, steps
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Models

_Sources = dict[str, int | None]  # by tensor the step whose answers it comes from, None for none


@rule("ENS210", "refused")
def answers_are_of_one_source(models: Models) -> Iterator[Found]:
    """Tensors that a step takes, or an ensemble gives, are not of several decoupled answers.

    A decoupled model may answer once, often or never: its answers cannot be paired with those of
    another, nor with a tensor that comes once a request. An ensemble with such a step is decoupled
    itself.

    Source: triton-inference-server/core, `ensemble_utils.cc` (ValidateEnsembleConfig).
    Remedy: let the decoupled step hand on what is needed beside its answers, or leave it out.
    """
    decoupled = _decoupled(models)
    for name in ensembles(models):
        parts = [*steps(models, name)]
        sources = _sources(models.models[name].message, parts, decoupled)
        for each in parts:
            if (clash := _clash(each.step.input_map.values(), sources, parts)) is not None:
                yield Found(model=name, said=clash, at=f"{each.at}.input_map")
        outputs = [each.name for each in models.models[name].message.output]
        if (clash := _clash(outputs, sources, parts)) is not None:
            yield Found(model=name, said=clash, at="output")


def _sources(message: Any, parts: Sequence[Step], decoupled: Collection[str]) -> _Sources:
    """Follow the tensors of an ensemble through its steps, in whatever order these stand.

    What is in a circle, or comes from nowhere, has no source: other rules tell.
    """
    found: _Sources = {each.name: None for each in message.input}
    missing = [{*each.step.input_map.values()} - found.keys() for each in parts]
    takers: dict[str, list[int]] = defaultdict(list)
    for number, names in enumerate(missing):
        for name in names:
            takers[name].append(number)
    ready = [number for number, names in enumerate(missing) if not names]
    for number in ready:
        step = parts[number].step
        given = [found[tensor] for tensor in sorted(step.input_map.values())]
        handed = next((each for each in given if each is not None), None)
        source = number if step.model_name in decoupled else handed
        for tensor in {*step.output_map.values()} - found.keys():
            found[tensor] = source
            for taker in takers[tensor]:
                missing[taker].discard(tensor)
                if not missing[taker]:
                    ready.append(taker)
    return found


def _decoupled(models: Models) -> frozenset[str]:
    """Name the models that are decoupled; an ensemble is by a step that is, whatever it says."""
    above: dict[str, list[str]] = defaultdict(list)
    for each in steps(models):
        above[each.step.model_name].append(each.ensemble)
    wholes = {*ensembles(models)}
    left = [
        name
        for name, model in models.models.items()
        if model.message is not None
        and name not in wholes
        and model.message.model_transaction_policy.decoupled
    ]
    found = set(left)
    while left:
        new = {*above[left.pop()]} - found
        found |= new
        left += new
    return frozenset(found)


def _clash(tensors: Iterable[str], sources: _Sources, parts: Sequence[Step]) -> str | None:
    """Say which tensors do not come from one source, None where all do."""
    told = {sources[each]: each for each in sorted(tensors, reverse=True) if each in sources}
    if len(told) < 2:
        return None
    said = [
        f"{tensor!r} of "
        + ("the request" if number is None else repr(parts[number].step.model_name))
        for number, tensor in sorted(told.items(), key=lambda each: each[1])
    ]
    return f"decoupled answers cannot be paired: {' and '.join(said)}"
