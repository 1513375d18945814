"""Rules of an ensemble and the models of its steps."""

from collections.abc import Iterator

from tritonforge.errors import did_you_mean
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Models


@rule("ENS201", "refused")
def steps_exist(models: Models) -> Iterator[Found]:
    """The model of each step is in the repository.

    The server loads an ensemble after its models, and not without one of them.

    Source: triton-inference-server/core, `model_repository_manager.cc`.
    Remedy: add the model, or mend its name.
    """
    for name, model in models.models.items():
        if model.config is None:
            continue
        for number, step in enumerate(model.config.message.ensemble_scheduling.step):
            if step.model_name and step.model_name not in models.models:
                hint = did_you_mean(step.model_name, models.models)
                yield Found(
                    model=name,
                    said=f"there is no model {step.model_name!r}{f': {hint}' if hint else ''}",
                    at=f"ensemble_scheduling.step[{number}].model_name",
                )
