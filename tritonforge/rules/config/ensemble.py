"""Rules of an ensemble's own config: what it has, and what its steps are."""

from collections.abc import Iterator
from typing import Any

from tritonforge.rules.backends import ENSEMBLE, FILES
from tritonforge.rules.places import keyed
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Config

_UNTOLD = {"instance_group": "has no instances", "optimization": "has nothing to optimize"}


def steps(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the steps of an ensemble with their places."""
    for number, step in enumerate(config.message.ensemble_scheduling.step):
        yield f"ensemble_scheduling.step[{number}]", step


def _is_meant(config: Config) -> bool:
    """Say whether a config with steps is meant for an ensemble."""
    message = config.message
    of_none = not message.platform and message.backend in {"", ENSEMBLE}
    return message.HasField("ensemble_scheduling") and (message.platform == ENSEMBLE or of_none)


@rule("ENS101", "refused", is_lasting=True)
def steps_of_an_ensemble(config: Config) -> Iterator[Found]:
    """Only a model of platform ensemble has steps.

    A model with a backend of its own runs that, and the server does not choose between the two.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (ValidateEnsembleSchedulingConfig).
    Remedy: write platform: "ensemble", without a backend, or take ensemble_scheduling out.
    """
    message = config.message
    if not message.HasField("ensemble_scheduling") or message.platform == ENSEMBLE:
        return
    changes: tuple[Change, ...] = ()
    if not message.platform and message.backend in {"", ENSEMBLE}:
        changes = (Change(path="platform", value=f'"{ENSEMBLE}"'),)
        if message.backend:
            changes = (*changes, Change(path="backend", value=None))
    yield Found(
        said="only a model of platform 'ensemble' has steps",
        at="ensemble_scheduling",
        changes=changes,
    )


@rule("ENS102", "refused", is_lasting=True)
def some_steps(config: Config) -> Iterator[Found]:
    """An ensemble has steps.

    They are all that it does.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig,
    ValidateEnsembleSchedulingConfig).
    Remedy: write ensemble_scheduling with a step for each model.
    """
    message = config.message
    is_one = message.platform == ENSEMBLE or message.HasField("ensemble_scheduling")
    if is_one and not message.ensemble_scheduling.step:
        yield Found(said="an ensemble needs steps", at="ensemble_scheduling")


@rule("ENS103", "refused", is_lasting=True)
def ensemble_without_backend(config: Config) -> Iterator[Found]:
    """An ensemble has no backend, and no file that tells one.

    The server runs it itself.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: take the backend out.
    """
    message = config.message
    if message.platform == ENSEMBLE and message.backend:
        plainly = message.HasField("ensemble_scheduling")
        yield Found(
            said=f"an ensemble has no backend, and this has {message.backend!r}",
            at="backend",
            changes=(Change(path="backend", value=None),) if plainly else (),
        )
    elif message.platform == ENSEMBLE and message.default_model_filename in FILES:
        yield Found(
            said=f"an ensemble has no file, and {message.default_model_filename} tells a backend",
            at="default_model_filename",
            changes=(Change(path="default_model_filename", value=None),),
        )


@rule("ENS104", "refused", is_lasting=True)
def ensemble_without_instances(config: Config) -> Iterator[Found]:
    """An ensemble has no instance_group and no optimization.

    Its models have their own; the ensemble hands tensors from one to the next.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (ValidateEnsembleSchedulingConfig).
    Remedy: take it out, and say it of the models.
    """
    message = config.message
    if not _is_meant(config):
        return
    held = {field.name for field, _ in message.ListFields()}
    for field, why in _UNTOLD.items():
        if field in held:
            yield Found(
                said=f"an ensemble {why}", at=field, changes=(Change(path=field, value=None),)
            )


@rule("ENS105", "refused", is_lasting=True)
def ensemble_without_warmup(config: Config) -> Iterator[Found]:
    """An ensemble has no model_warmup.

    Its models are warmed up by themselves.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (ValidateEnsembleSchedulingConfig).
    Remedy: take it out, and say it of the models.
    """
    if _is_meant(config) and config.message.model_warmup:
        yield Found(
            said="an ensemble is not warmed up, its models are",
            at="model_warmup",
            changes=(Change(path="model_warmup", value=None),),
        )


@rule("ENS106", "refused", is_lasting=True)
def model_of_a_step(config: Config) -> Iterator[Found]:
    """A step names a model.

    It is the model of that name in the repository.

    Source: triton-inference-server/core, `model_config_utils.cc` (BuildEnsembleGraph).
    Remedy: write model_name.
    """
    for place, step in steps(config):
        if not step.model_name:
            yield Found(said="a step needs a model_name", at=f"{place}.model_name")


@rule("ENS107", "refused", is_lasting=True)
def maps_of_a_step(config: Config) -> Iterator[Found]:
    """A step maps inputs and outputs of its model to tensors of the ensemble.

    Without both, nothing goes in or comes out.

    Source: triton-inference-server/core, `model_config_utils.cc` (BuildEnsembleGraph).
    Remedy: write input_map and output_map, with the model's names as keys.
    """
    for place, step in steps(config):
        for field in ("input_map", "output_map"):
            if not getattr(step, field):
                yield Found(said=f"a step needs an {field}", at=f"{place}.{field}")


@rule("ENS108", "refused", is_lasting=True)
def written_once(config: Config) -> Iterator[Found]:
    """A tensor of an ensemble is given by one output of one step.

    The server does not choose between two.

    Source: triton-inference-server/core, `model_config_utils.cc` (BuildEnsembleGraph).
    Remedy: name another tensor.
    """
    seen = set()
    for place, step in steps(config):
        for output in sorted(step.output_map):
            tensor = step.output_map[output]
            if tensor in seen:
                yield Found(
                    said=f"the tensor {tensor!r} is given by several outputs",
                    at=keyed(f"{place}.output_map", output),
                )
            seen.add(tensor)


@rule("ENS109", "refused", is_lasting=True)
def version_of_a_step(config: Config) -> Iterator[Found]:
    """A step asks for a version: -1 for the newest, or its number.

    Where model_version is left out it is 0, which is a version too, and hardly ever there.

    Source: triton-inference-server/core, `model_repository_manager.cc` (CircularcyCheck,
    ValidateEnsembleConfig).
    Remedy: write model_version: -1.
    """
    for place, step in steps(config):
        if step.model_version == 0:
            yield Found(
                said="without model_version it asks for version 0: -1 is the newest",
                at=f"{place}.model_version",
                changes=(Change(path=f"{place}.model_version", value="-1"),),
            )
        elif step.model_version < -1:
            yield Found(
                said=f"there is no version {step.model_version}: -1 is the newest",
                at=f"{place}.model_version",
            )
