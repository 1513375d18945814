"""Rules of the lists of inputs and outputs, and of what engines of TensorRT have in them."""

from collections.abc import Iterator

from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config


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
