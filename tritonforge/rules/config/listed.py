"""Rules of the lists of inputs and outputs: what may be left out, and what engines have in them."""

from collections.abc import Iterator

from tritonforge import knobs
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

_OPTIONAL_SINCE = "23.04"


@rule("TEN110", "refused")
def optional_without_batch(config: Config) -> Iterator[Found]:
    """A model with an optional input has max_batch_size 0.

    What stands for an input that a request leaves out is a weight, which has no batch.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: take optional out, or write max_batch_size: 0.
    """
    most = config.message.max_batch_size
    for place, entry in told_apart("input", config.message.input):
        if config.is_onnx and entry.optional and most > 0:
            yield Found(
                said=f"with max_batch_size {most} no input can be optional", at=f"{place}.optional"
            )


@rule("TEN114", "refused")
def optional_already(config: Config) -> Iterator[Found]:
    """The release's ONNX Runtime backend takes optional inputs already.

    It does since 23.04; an older one refuses what the server itself takes.

    Source: triton-inference-server/backend, `backend_model.cc` (ParseModelConfig);
    onnxruntime_backend, `onnxruntime.cc`, by release.
    Remedy: choose a newer release, or take the input out.
    """
    for place, entry in told_apart("input", config.message.input):
        if config.is_onnx and entry.optional and not knobs.begun(_OPTIONAL_SINCE, config.release):
            yield Found(
                said=f"the ONNX Runtime backend takes optional inputs since {_OPTIONAL_SINCE}, not"
                f" yet in {config.release.tag}",
                at=f"{place}.optional",
            )


@rule("TEN111", "refused")
def optional_or_ragged(config: Config) -> Iterator[Found]:
    """An optional input is not ragged.

    Rows of several lengths are put end to end, where those of an absent input have none.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: take optional or allow_ragged_batch out.
    """
    for place, entry in told_apart("input", config.message.input):
        if config.is_onnx and entry.optional and entry.allow_ragged_batch:
            yield Found(said="an optional input cannot be ragged", at=f"{place}.allow_ragged_batch")


@rule("TEN112", "refused")
def listed_once(config: Config) -> Iterator[Found]:
    """An input is listed once.

    The backend counts the inputs, and the model has fewer.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ValidateInputs).
    Remedy: take one of the entries out.
    """
    if not config.is_onnx:
        return
    seen = set()
    for number, entry in enumerate(config.message.input):
        if entry.name and entry.name in seen:
            yield Found(said=f"the input {entry.name!r} is listed twice", at=f"input[{number}]")
        seen.add(entry.name)


@rule("TEN113", "refused", is_lasting=True)
def layout_of_three(config: Config) -> Iterator[Found]:
    """A tensor of another layout has 3 dims, without the batch.

    TensorRT lays out a batch, channels and two more.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateNonLinearFormatIO).
    Remedy: write three dims, or take is_non_linear_format_io out.
    """
    for kind in ("input", "output"):
        for place, entry in told_apart(kind, getattr(config.message, kind)):
            if (
                config.backend == "tensorrt"
                and entry.is_non_linear_format_io
                and len(entry.dims) != 3
            ):
                yield Found(
                    said=f"it needs 3 dims, without the batch, not {len(entry.dims)}",
                    at=f"{place}.is_non_linear_format_io",
                )
