"""Rules of an ensemble and the models of its steps.

Source: triton-inference-server/core, `ensemble_utils.cc` (ValidateEnsembleConfig) and
`model_repository_manager.cc` (dependencies, circles).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from tritonforge.errors import did_you_mean
from tritonforge.pbtxt.editing import schema
from tritonforge.rules.across.ways import circles, holders, way
from tritonforge.rules.across.wiring import Clash, clashes, edges, ensembles, steps
from tritonforge.rules.places import keyed
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Models

_NAMED = 20  # ensembles of a circle
_HINTED = 20  # steps of an ensemble for whose models near names are sought


@rule("ENS201", "refused")
def steps_exist(models: Models) -> Iterator[Found]:
    """The model of each step is in the repository.

    The server loads an ensemble after its models, and not without one of them.

    Source: triton-inference-server/core, `model_repository_manager.cc`.
    Remedy: add the model, or mend its name.
    """
    counts: Counter[str] = Counter()
    for each in steps(models):
        if each.model is None and each.step.model_name:
            counts[each.ensemble] += 1
            near = counts[each.ensemble] <= _HINTED
            hint = did_you_mean(each.step.model_name, models.models) if near else None
            others = (name for name in models.models if name != each.ensemble)
            meant = _alike(each.step.model_name, others) if near else None
            hint = f"did you mean {meant!r}?" if meant else hint
            at = f"{each.at}.model_name"
            yield Found(
                model=each.ensemble,
                said=f"there is no model {each.step.model_name!r}{f': {hint}' if hint else ''}",
                at=at,
                changes=(Change(path=at, value=schema.quote(meant)),) if meant else (),
            )


def _alike(name: str, models: Iterable[str]) -> str | None:
    """Return the one model whose name differs in large letters and in what parts words alone."""
    found = [each for each in models if _letters(each) == _letters(name)]
    return found[0] if len(found) == 1 and _letters(name) else None


def _letters(name: str) -> str:
    """Return letters and digits, small, with a point where numbers are parted: 1.1 is not 11."""
    parted = re.sub(r"[\W_]+", ".", name.lower())
    return re.sub(r"(?<!\d)\.|\.(?!\d)", "", parted)


@rule("ENS202", "refused")
def versions_exist(models: Models) -> Iterator[Found]:
    """The version that a step asks for is one that the server loads.

    With -1 it takes the newest that is loaded, with any other number that version alone.

    Source: triton-inference-server/core, `model_repository_manager.cc`.
    Remedy: name a version that the model's version_policy serves, or write model_version: -1.
    """
    for each in steps(models):
        wanted = each.step.model_version
        if each.model is None or "" in each.model.closed:
            continue
        if wanted > 0 and wanted not in each.model.versions:
            there = ", ".join(map(str, each.model.versions)) or "none"
            yield Found(
                model=each.ensemble,
                said=f"{each.model.name!r} is not served in version {wanted}: {there}",
                at=f"{each.at}.model_version",
            )


@rule("ENS203", "refused")
def no_circles(models: Models) -> Iterator[Found]:
    """No ensemble leads back to itself.

    The server loads models after those that they depend on, and finds no first one in a circle.

    Source: triton-inference-server/core, `model_repository_manager.cc` (CircularcyCheck).
    Remedy: take the step out that closes the circle.
    """
    below = edges(models)
    for name, group in circles(below).items():
        first = next(each for each in steps(models, name) if each.step.model_name in group)
        told = f"through {len(group)} ensembles"
        if len(group) <= _NAMED:
            told = " → ".join((name, *way(first.step.model_name, name, below)))
        yield Found(model=name, said=f"it depends on itself: {told}", at=f"{first.at}.model_name")


@rule("ENS204", "refused", is_last=True)
def steps_load(models: Models) -> Iterator[Found]:
    """The model of each step can itself be loaded.

    An ensemble is loaded after its models, and not where one of them was refused.

    Source: triton-inference-server/core, `model_repository_manager.cc`.
    Remedy: mend that model first.
    """
    refused = holders(models.refused, edges(models))
    for each in steps(models):
        if each.model is not None and each.step.model_name in refused:
            yield Found(
                model=each.ensemble,
                said=f"{each.model.name!r} would be refused, and with it this ensemble",
                at=f"{each.at}.model_name",
            )


@rule("ENS205", "refused")
def maps_name_tensors_of_the_model(models: Models) -> Iterator[Found]:
    """The maps of a step name inputs and outputs that its model has.

    On the left stands the model's tensor, on the right the ensemble's.

    Source: triton-inference-server/core, `ensemble_utils.cc` (ValidateTensorMapping).
    Remedy: mend the name; the model's own config or file tells what it has.
    """
    for each in steps(models):
        if each.face is None:
            continue
        for kind in ("input", "output"):
            known = [tensor.name for tensor in getattr(each.face, kind)]
            for name in sorted(set(getattr(each.step, f"{kind}_map")) - {*known}):
                hint = did_you_mean(name, known) or f"it has {', '.join(known)}"
                yield Found(
                    model=each.ensemble,
                    said=f"model {each.step.model_name!r} has no {kind} {name!r}: {hint}",
                    at=keyed(f"{each.at}.{kind}_map", name),
                )


@rule("ENS206", "refused")
def inputs_are_mapped(models: Models) -> Iterator[Found]:
    """Each input of a step's model that is not optional gets a tensor.

    What a model needs and no map gives would be missing from every request to it.

    Source: triton-inference-server/core, `ensemble_utils.cc` (ValidateTensorMapping).
    Remedy: add it to the step's input_map.
    """
    for each in steps(models):
        for tensor in each.face.input if each.face is not None else ():
            if tensor.name not in each.step.input_map and not tensor.optional:
                yield Found(
                    model=each.ensemble,
                    said=f"input {tensor.name!r} of model {each.step.model_name!r} gets nothing",
                    at=f"{each.at}.input_map",
                )


@rule("ENS207", "refused")
def tensors_have_one_dtype(models: Models) -> Iterator[Found]:
    """All models that share a tensor of an ensemble have it in one data type.

    Nothing converts between the steps.

    Source: triton-inference-server/core, `ensemble_utils.cc` (ValidateTensorConsistency).
    Remedy: put a step between that casts, or build one of the models with the other's type.
    """
    return _told(models, "dtype")


@rule("ENS208", "refused")
def tensors_have_one_shape(models: Models) -> Iterator[Found]:
    """All models that share a tensor of an ensemble have it in shapes that agree.

    A size of -1 agrees with any; a model that batches with one that has the batch among its dims.

    Source: triton-inference-server/core, `ensemble_utils.cc` (ValidateTensorConsistency).
    Remedy: mend the dims, or put a step between that reshapes.
    """
    return _told(models, "shape")


def _told(models: Models, kind: str) -> Iterator[Found]:
    """Say of each clash of a kind which two models do not agree."""
    for name in ensembles(models):
        for each in clashes(models, name):
            if each.kind == kind:
                yield Found(model=name, said=_against(each), at=each.at)


def _against(clash: Clash) -> str:
    return (
        f"tensor {clash.tensor!r} is {clash.before} of {clash.owner!r}"
        f" and {clash.after} of {clash.other!r}"
    )


@rule("ENS209", "refused")
def steps_take_the_batch(models: Models) -> Iterator[Found]:
    """The model of each step takes batches as large as the ensemble does, if it batches.

    The server hands a request on whole; it does not split it for a step. To a model that does not
    batch the batch is one of its dims.

    Source: triton-inference-server/core, `ensemble_utils.cc` (ValidateEnsembleConfig).
    Remedy: lower the ensemble's max_batch_size to the least of its models', or raise theirs.
    """
    for each in steps(models):
        asked = models.models[each.ensemble].message.max_batch_size
        if each.face is not None and 0 < each.face.max_batch_size < asked:
            yield Found(
                model=each.ensemble,
                said=f"it takes batches up to {asked}, model {each.step.model_name!r} up to"
                f" {each.face.max_batch_size}",
                at="max_batch_size",
            )


@rule("ENS211", "refused")
def outputs_are_told_apart(models: Models) -> Iterator[Found]:
    """The model of a step lists an output that is mapped once.

    The server goes through the outputs that are listed, and two would write one tensor.

    Source: triton-inference-server/core, `ensemble_utils.cc` (ValidateTensorMapping).
    Remedy: take one of the entries out of that model's config.
    """
    for each in steps(models):
        listed = [] if each.face is None else [tensor.name for tensor in each.face.output]
        for name in sorted(set(listed) & set(each.step.output_map)):
            if listed.count(name) > 1:
                yield Found(
                    model=each.ensemble,
                    said=f"model {each.step.model_name!r} lists its output {name!r} twice",
                    at=keyed(f"{each.at}.output_map", name),
                )
