"""Rules of an ensemble's own config."""

from collections.abc import Iterator

from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config


@rule("ENS101", "refused")
def steps_of_an_ensemble(config: Config) -> Iterator[Found]:
    """Only a model of platform ensemble has steps.

    A model with a backend of its own runs that, and the server does not choose between the two.

    Source: triton-inference-server/core, `model_config_utils.cc`
    (ValidateEnsembleSchedulingConfig).
    Remedy: write platform: "ensemble", without a backend, or take ensemble_scheduling out.
    """
    if config.is_onnx and config.message.HasField("ensemble_scheduling"):
        yield Found(said="only a model of platform 'ensemble' has steps", at="ensemble_scheduling")
