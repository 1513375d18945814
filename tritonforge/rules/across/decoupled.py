"""Rules of ensembles with a model that answers a request as often as it likes."""

from collections.abc import Iterable, Iterator, Mapping

from tritonforge.rules.across.wiring import Step, ensembles, steps
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Models

_Sources = dict[str, int | None]  # by tensor the step whose answers it comes from, None for none


@rule("ENS210", "refused")
def answers_are_of_one_source(models: Models) -> Iterator[Found]:
    """What a step takes, and what an ensemble gives, comes from the answers of one decoupled step.

    A decoupled model may answer once, often or never: its answers cannot be paired with those of
    another, nor with a tensor that comes once a request. An ensemble with such a step is decoupled
    itself.

    Source: triton-inference-server/core, `ensemble_utils.cc` (ValidateEnsembleConfig).
    Remedy: let the decoupled step hand on what is needed beside its answers, or leave it out.
    """
    own: dict[str, list[Step]] = {name: [] for name in ensembles(models)}
    for each in steps(models):
        own[each.ensemble].append(each)
    for name, parts in own.items():
        sources = _sources(models, name, parts, own)
        for each in parts:
            if (clash := _clash(each.step.input_map.values(), sources, parts)) is not None:
                yield Found(model=name, said=clash, at=f"{each.at}.input_map")
        outputs = [each.name for each in models.models[name].message.output]
        if (clash := _clash(outputs, sources, parts)) is not None:
            yield Found(model=name, said=clash, at="output")


def _sources(
    models: Models, name: str, parts: list[Step], own: Mapping[str, list[Step]]
) -> _Sources:
    """Follow the tensors of an ensemble through its steps, in whatever order these stand."""
    found: _Sources = {each.name: None for each in models.models[name].message.input}
    left = dict(enumerate(parts))
    while left:
        ready = [
            number
            for number, each in left.items()
            if found.keys() >= {*each.step.input_map.values()}
        ]
        if not ready:  # a circle, or a tensor from nowhere: other rules tell
            break
        for number in ready:
            step = left.pop(number).step
            given = [found[tensor] for tensor in sorted(step.input_map.values())]
            handed = next((each for each in given if each is not None), None)
            source = number if _streams(models, step.model_name, own, frozenset()) else handed
            for tensor in step.output_map.values():
                found.setdefault(tensor, source)
    return found


def _streams(
    models: Models, name: str, own: Mapping[str, list[Step]], above: frozenset[str]
) -> bool:
    """Say whether a model is decoupled, or an ensemble with a step that is."""
    model = models.models.get(name)
    if model is None or model.message is None or name in above:
        return False
    return bool(model.message.model_transaction_policy.decoupled) or any(
        _streams(models, each.step.model_name, own, above | {name}) for each in own.get(name, ())
    )


def _clash(tensors: Iterable[str], sources: _Sources, parts: list[Step]) -> str | None:
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
