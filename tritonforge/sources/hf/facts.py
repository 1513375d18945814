"""What lies beside a model: how its texts, images and sounds are prepared, and its labels."""

from collections.abc import Mapping, Sequence
from typing import Any

from tritonforge.sources import images
from tritonforge.tensors import TensorSpec

# How Pillow numbers its filters, which is how configs name them.
_FILTERS = dict(enumerate(("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")))
_UNBOUNDED = 10**6  # a tokenizer that knows no end says so by a huge number


def longest(tokenizer: Mapping[str, Any], sentences: Mapping[str, Any]) -> int | None:
    """Return how many tokens a tokenizer makes at most, None where nothing says so."""
    said = tokenizer.get("model_max_length"), sentences.get("max_seq_length")
    return min((int(each) for each in said if each and each < _UNBOUNDED), default=None)


def crop(preprocessor: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return height and width of the image that comes out, None where they are not fixed."""
    for key in ("crop_size", "size"):
        if key == "crop_size" and not preprocessor.get("do_center_crop", True):
            continue
        if (sides := _sides(preprocessor.get(key))) is not None:
            return sides
    return None


def normalised(preprocessor: Mapping[str, Any]) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and deviation by channel; 0 and 1 where pixels are not normalised."""
    if not preprocessor.get("do_normalize", True):
        return (0.0,), (1.0,)
    mean, std = (preprocessor.get(key) for key in ("image_mean", "image_std"))
    return mean or images.MEAN, std or images.STD


def preprocessing(
    tensors: Sequence[TensorSpec],
    preprocessor: Mapping[str, Any],
    tokenizer: Mapping[str, Any],
    longest: int | None,
) -> dict[str, Mapping[str, Any]]:
    """Return the facts of each input that something beside the model speaks of."""
    told: dict[str, Mapping[str, Any]] = {}
    names = {tensor.name for tensor in tensors}
    if "pixel_values" in names and preprocessor:
        told["pixel_values"] = _image(preprocessor)
    if "input_ids" in names:
        told["input_ids"] = _text(tokenizer, longest)
    for name in names & {"input_values", "input_features"}:
        if "sampling_rate" in preprocessor:
            told[name] = {"kind": "audio", "sampling_rate": preprocessor["sampling_rate"]}
    return told


def labels(module: Any) -> tuple[str, ...]:
    """Return the names of the classes of a classifier, where its config gives real ones."""
    found = getattr(module.config, "id2label", None) or {}
    names = tuple(str(found[index]) for index in sorted(found))
    generic = all(name == f"LABEL_{index}" for index, name in enumerate(names))
    is_classifier = type(module).__name__.endswith(
        ("ForSequenceClassification", "ForImageClassification", "ForAudioClassification")
    )
    return names if is_classifier and not generic else ()


def _image(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of an image."""
    mean, std = normalised(said)
    size = said.get("size")
    resize: Sequence[int] = _sides(size) or ()
    if isinstance(size, Mapping) and "shortest_edge" in size:
        resize = (size["shortest_edge"],)
    kind: Any = said.get("resample")
    return images.facts(
        resize=resize,
        crop=crop(said) or (),
        interpolation=_FILTERS.get(kind, "bilinear"),
        mean=mean,
        std=std,
    )


def _text(said: Mapping[str, Any], longest: int | None) -> dict[str, Any]:
    """Return the facts of a text."""
    return {
        "kind": "text",
        "tokenizer": said.get("tokenizer_class"),
        "max_length": longest,
        "lower_case": said.get("do_lower_case"),
    }


def _sides(size: Any) -> tuple[int, int] | None:
    """Read a size as configs write it: a number, a pair, or height and width."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping):
        height, width = size.get("height"), size.get("width")
        return (int(height), int(width)) if height and width else None
    if isinstance(size, Sequence) and len(size) == 2:
        return int(size[0]), int(size[1])
    return None
