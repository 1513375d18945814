"""Torchvision's models that take no batch of images: detectors, and those that compare two images.

A detector takes a list of images and finds as many objects in each as there are; Triton's tensors
hold those of one image, so that one image is a request, without a batch.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tritonforge.sources import images
from tritonforge.sources.protocol import Loaded
from tritonforge.spec import Domain
from tritonforge.tensors import DType, TensorSpec

_FLOW = (368, 496)  # height and width of the crops that optical flow is trained on


class Detector(nn.Module):
    """A detector of one image: its boxes, scores and labels, and masks or keypoints."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input: torch.Tensor) -> Any:  # noqa: A002 - the name of the input
        """Return what is found in an image of `[3, height, width]`, as torchvision names it."""
        found = self.model([input])
        return found[0]


class Flow(nn.Module):
    """The optical flow between two batches of images: the last of what was refined step by step."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image1: torch.Tensor, image2: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return how far each pixel moves from the first to the second: across, then down."""
        return {"flow": self.model(image1, image2)[-1]}


def detector(_: str, loaded: Loaded, default: Any) -> Loaded:
    """Describe a detector, which scales and normalises an image itself.

    Torchvision writes its detectors to be traced: there they leave no size and no branch behind.
    """
    model: Any = loaded.module
    size = model.transform.fixed_size or (model.transform.min_size[-1],) * 2
    side = TensorSpec(name="input", dtype=DType.FP32, dims=(3, *map(int, reversed(size))))
    facts = images.facts(
        resize=(), crop=(), interpolation="bilinear", mean=(0.0,) * 3, std=(1.0,) * 3
    )
    return replace(
        loaded,
        module=Detector(model).eval(),
        inputs=(side,),
        domains={side.name: images.domain(facts["mean"], facts["std"])},
        preprocessing={side.name: facts} if default else {},
        traced=True,
    )


def flow(_: str, loaded: Loaded, default: Any) -> Loaded:
    """Describe a model of optical flow, whose pixels go from -1 to 1."""
    model: Any = loaded.module
    dims = ("batch", 3, *_FLOW)
    sides = [TensorSpec(name=name, dtype=DType.FP32, dims=dims) for name in ("image1", "image2")]
    facts = images.facts(
        resize=_FLOW, crop=(), interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3
    )
    return replace(
        loaded,
        module=Flow(model).eval(),
        inputs=tuple(sides),
        domains={each.name: Domain(kind="uniform", low=-1.0, high=1.0) for each in sides},
        preprocessing={each.name: facts for each in sides} if default else {},
    )
