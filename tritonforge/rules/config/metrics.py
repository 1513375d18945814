"""Rules of a model's metrics."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config


def _controls(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the controls of metrics with their places."""
    for number, control in enumerate(config.message.model_metrics.metric_control):
        yield f"model_metrics.metric_control[{number}]", control


@rule("MET101", "refused", is_lasting=True)
def family_of_metrics(config: Config) -> Iterator[Found]:
    """A control of metrics names their family.

    The server finds the metrics that it is about by their family.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelMetrics).
    Remedy: write metric_identifier { family: "nv_inference_first_response_histogram_ms" }.
    """
    for place, control in _controls(config):
        if not control.metric_identifier.family:
            yield Found(
                said="it should name a family of metrics", at=f"{place}.metric_identifier.family"
            )


@rule("MET102", "refused", is_lasting=True)
def buckets_of_a_histogram(config: Config) -> Iterator[Found]:
    """A control of metrics lists the bounds of a histogram's buckets.

    They are what can be set of a family, and an entry without says nothing.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelMetrics).
    Remedy: write histogram_options { buckets: [ 100, 500, 2000 ] }, rising.
    """
    for place, control in _controls(config):
        if not control.histogram_options.buckets:
            yield Found(
                said="it should list the buckets' bounds", at=f"{place}.histogram_options.buckets"
            )


@rule("MET103", "refused", is_lasting=True)
def rising_buckets(config: Config) -> Iterator[Found]:
    """The bounds of a histogram's buckets rise.

    Prometheus makes no histogram of others.

    Source: jupp0r/prometheus-cpp, `histogram.cc`; triton-inference-server/core,
    `metric_model_reporter.cc`.
    Remedy: write each bound once, in rising order.
    """
    for place, control in _controls(config):
        bounds = control.histogram_options.buckets
        for number, (low, high) in enumerate(pairwise(bounds), 1):
            if not low < high:
                yield Found(
                    said=f"{high:g} behind {low:g} does not rise",
                    at=f"{place}.histogram_options.buckets[{number}]",
                )
