"""What belongs to the images that a model was trained on."""

from collections.abc import Sequence
from typing import Any

from tritonforge.spec import Domain

# The mean and deviation of ImageNet's channels, which most models were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def domain(mean: Sequence[float], std: Sequence[float]) -> Domain:
    """Return the range of normalised pixels: (0 - mean) / std to (1 - mean) / std."""
    pairs = list(zip(mean, std, strict=True))
    low, high = min(-m / s for m, s in pairs), max((1 - m) / s for m, s in pairs)
    return Domain(kind="uniform", low=round(low, 4), high=round(high, 4))


def facts(
    resize: Sequence[int],
    crop: Sequence[int],
    interpolation: str,
    mean: Sequence[float],
    std: Sequence[float],
    mode: str = "center",
) -> dict[str, Any]:
    """Return how an image becomes the input, as the manifest keeps it.

    It is resized (one number: its shorter side; two: height and width; none: not at all), cropped
    to height and width (`mode` as timm names it: center, squash, border), scaled to 0..1, less the
    mean, over the deviation.
    """
    return {
        "kind": "image",
        "resize": list(resize),
        "crop": list(crop),
        "crop_mode": mode,
        "interpolation": interpolation,
        "mean": list(mean),
        "std": list(std),
    }
