"""Rules of the model as a whole: its batch, versions, cache and what the backend reads."""

import re
from collections.abc import Iterator
from typing import Any

from tritonforge import knobs
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.rules.places import keyed
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

_LABEL = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_]*)?", re.ASCII)


@rule("GEN101", "refused", is_lone=True, is_lasting=True)
def largest_batch(config: Config) -> Iterator[Found]:
    """max_batch_size is 0 or more.

    0 says that the model does not batch; a negative size says nothing.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: write the largest batch that the model is to be given, or 0.
    """
    most = config.message.max_batch_size
    if most < 0:
        yield Found(said=f"{most} should be 0 or more", at="max_batch_size")


@rule("GEN103", "refused", is_lasting=True)
def cached_or_sequential(config: Config) -> Iterator[Found]:
    """A model with a response cache has no sequence batching.

    What a request of a sequence is answered depends on those before it.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: take response_cache out.
    """
    if config.message.response_cache.enable and config.message.HasField("sequence_batching"):
        yield Found(said="responses of sequences cannot be cached", at="response_cache.enable")


@rule("GEN104", "refused", is_lasting=True)
def cached_or_decoupled(config: Config) -> Iterator[Found]:
    """A model with a response cache answers each request once.

    Of a decoupled model the server does not know which of its answers belong together.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: take response_cache out.
    """
    if config.message.response_cache.enable and config.message.model_transaction_policy.decoupled:
        yield Found(
            said="responses of a decoupled model cannot be cached", at="response_cache.enable"
        )


@rule("GEN110", "refused", is_lone=True, is_lasting=True)
def some_version(config: Config) -> Iterator[Found]:
    """A version policy has a version served.

    latest without num_versions is none, and so is specific without versions; without a policy the
    newest is served.

    Source: triton-inference-server/core, `model_lifecycle.cc` (VersionsToLoad).
    Remedy: write latest { num_versions: 1 }, or which versions; or take version_policy out.
    """
    which = serves_none(config.message)
    if which is not None:
        yield Found(said=f"the policy {which} has no version served", at=f"version_policy.{which}")


def serves_none(message: Any) -> str | None:
    """Name the choice of a policy that has no version served, whichever there are."""
    policy = message.version_policy
    if policy.HasField("latest") and not policy.latest.num_versions:
        return "latest"
    if policy.HasField("specific") and not any(each >= 0 for each in policy.specific.versions):
        return "specific"
    return None


@rule("GEN111", "refused", is_lone=True, is_lasting=True)
def tags_of_metrics(config: Config) -> Iterator[Found]:
    """A tag of metrics is named by letters, digits and underscores, none of these first.

    Behind the underscore that the server sets before it, Prometheus takes no other for a label, and
    the server ends itself.

    Source: triton-inference-server/core, `metric_model_reporter.cc`; jupp0r/prometheus-cpp,
    `check_names.cc`.
    Remedy: mend the name.
    """
    for name in sorted(config.message.metric_tags):
        if not _LABEL.fullmatch(name):
            yield Found(
                said=f"Prometheus has no label {name!r}, and the server ends itself",
                at=keyed("metric_tags", name),
            )


@rule("GEN112", "refused")
def named_operators(config: Config) -> Iterator[Found]:
    """A library of operators has a name.

    ONNX Runtime opens each, and finds nothing to register in what has no name.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (LoadModel).
    Remedy: write the path of the library, or take the entry out.
    """
    if config.is_onnx:
        names = config.message.model_operations.op_library_filename
        for number, name in enumerate(names):
            if not name:
                yield Found(
                    said="a library of operators needs a name",
                    at=f"model_operations.op_library_filename[{number}]",
                )


@rule("GEN201", "wrong")
def read_by_the_backend(config: Config) -> Iterator[Found]:
    """What is set is read by the backend that serves the model.

    Some fields are of the TensorRT backend alone, and others pass over them in silence.

    Source: triton-inference-server, the sources of server, backend, onnxruntime_backend and
    tensorrt_backend.
    Remedy: take the field out; the accelerator tensorrt has parameters of its own.
    """
    if not config.is_onnx:
        return
    for field, by in knobs.unread().items():
        scope, name = field.split(".")
        held = getattr(config.message, scope)
        listed = told_apart(scope, held) if scope == "instance_group" else [(scope, held)]
        for place, each in listed:
            if name in {found.name for found, _ in each.ListFields()}:
                yield Found(
                    said=f"in release {config.release.tag} only {by} reads it, not that of ONNX"
                    " Runtime",
                    at=f"{place}.{name}",
                )


@rule("GEN202", "wrong")
def priority_of_a_model(config: Config) -> Iterator[Found]:
    """optimization.priority is of a model with sequence batching.

    Only the sequence batcher reads it, for the priority of its thread.

    Source: triton-inference-server/core, `sequence_batch_scheduler.cc`.
    Remedy: take it out; requests have priorities of their own, in dynamic_batching.
    """
    message = config.message
    if (
        config.is_onnx
        and message.optimization.priority
        and not message.HasField("sequence_batching")
    ):
        yield Found(
            said=f"in release {config.release.tag} only the sequence batcher reads it",
            at="optimization.priority",
        )


@rule("GEN203", "wrong")
def graph_level(config: Config) -> Iterator[Found]:
    """The level of graph optimization is one that the release takes: -1, 0, 1 or 2.

    0 optimizes all that can be, 1 less, -1 little and 2 nothing. Any other level is taken as 0.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ModelState).
    Remedy: write a level that the release takes, or none for all optimizations.
    """
    release = config.release
    level = str(config.message.optimization.graph.level)
    levels = knobs.sinces("graph_levels")
    if config.is_onnx and not knobs.since_in("graph_levels", level, release):
        since = levels.get(level)
        known = f"is taken since {since}" if since else f"is none of {', '.join(levels)}"
        yield Found(
            said=f"level {level} {known}; release {release.tag} optimizes as with level 0",
            at="optimization.graph.level",
        )


@rule("GEN204", "wrong")
def coupled(config: Config) -> Iterator[Found]:
    """A model of ONNX Runtime is not decoupled.

    Its backend answers each request once, and of a decoupled model the server takes streamed
    requests only.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc`; server, `http_server.cc`.
    Remedy: take model_transaction_policy out.
    """
    if config.is_onnx and config.message.model_transaction_policy.decoupled:
        yield Found(
            said="the ONNX Runtime backend answers each request once, and the server then refuses"
            " requests that are not streamed",
            at="model_transaction_policy.decoupled",
        )


@rule("GEN301", "advice", is_lasting=True)
def cached_by_the_server(config: Config) -> Iterator[Found]:
    """A response cache is read by a server that has one.

    Without --cache-config the server keeps no responses, and runs the model for each request.

    Source: triton-inference-server/core, `backend_model.cc` (SetConfiguredScheduler); server,
    `docs/user_guide/response_cache.md`.
    Remedy: start the server so, as with --cache-config=local,size=67108864; or take response_cache
    out.
    """
    message = config.message
    is_refused = message.HasField("sequence_batching") or message.model_transaction_policy.decoupled
    if message.response_cache.enable and not is_refused:
        yield Found(said="it is read with --cache-config only", at="response_cache.enable")
