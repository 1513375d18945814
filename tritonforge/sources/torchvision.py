"""Models by their torchvision name: `torchvision:resnet50`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tritonforge.errors import SourceError, did_you_mean
from tritonforge.sources import images
from tritonforge.sources.protocol import Loaded
from tritonforge.spec import ModelSpec
from tritonforge.tensors import DType, TensorSpec

_PREFIX = "torchvision:"
# What the video architectures were trained on, where their weights do not say.
_FRAMES = {"mvit": 16, "swin3d": 32}
_DEFAULT_FRAMES = 16


def claims(text: str) -> bool:
    """Take `torchvision:NAME`."""
    return text.startswith(_PREFIX)


def names() -> list[str]:
    """List the architectures that torchvision has."""
    from torchvision import models

    return list(models.list_models())


def model_name(text: str) -> str:
    """Return the architecture's name."""
    return text.removeprefix(_PREFIX)


def origin(_: str) -> None:
    """Return none: the library's version says what an architecture is."""


def load(text: str, spec: ModelSpec) -> Loaded:
    """Make the architecture with its pretrained, random or given weights."""
    import torch
    import torchvision

    from tritonforge.sources import weights as states
    from tritonforge.sources import wrapped

    name = known(model_name(text))
    enum = torchvision.models.get_model_weights(name)
    default = next(iter(enum), None) and enum.DEFAULT
    torch.manual_seed(spec.seed)
    module = _make(name, default, spec).eval()
    if spec.weights not in {"default", "random"}:
        states.load_file(module, Path(spec.weights))
    loaded = Loaded(
        module=module,
        asked=bool(spec.inputs),
        weights=states.origin(spec, f"pretrained {default}"),
        weights_sha256=states.fingerprint(module),
        versions={"torch": torch.__version__, "torchvision": torchvision.__version__},
    )
    describe = {"detection": wrapped.detector, "optical_flow": wrapped.flow}.get(
        _kind(name), _images
    )
    described = describe(name, loaded, default)
    return replace(described, inputs=spec.inputs or described.inputs)


def _images(name: str, loaded: Loaded, default: Any) -> Loaded:
    """Describe a model that takes a batch of images or of clips."""
    side, facts = _input(name, loaded.module, default), _preprocessing(default)
    return replace(
        loaded,
        inputs=(side,),
        domains={side.name: images.domain(facts["mean"], facts["std"])},
        labels=tuple(default.meta.get("categories", ())) if default else (),
        preprocessing={side.name: facts} if default else {},
    )


def known(name: str) -> str:
    """Return the name where torchvision has it and Triton can serve its kind."""
    listed = names()
    if name not in listed:
        raise SourceError(f"torchvision has no model {name!r}", hint=did_you_mean(name, listed))
    if name.startswith("quantized_"):
        raise SourceError(
            f"{name!r} runs torch's own quantized kernels, which ONNX cannot express",
            hint=f"build {name.removeprefix('quantized_')!r} instead",
        )
    return name


def _kind(name: str) -> str:
    """Say what a model does, as far as that says how it is called."""
    from torchvision import models

    for package in (models.detection, models.segmentation, models.video, models.optical_flow):
        if name in models.list_models(package):
            return str(package.__name__).rpartition(".")[2]
    return "classification"


def _make(name: str, default: Any, spec: ModelSpec) -> Any:
    """Build the architecture; pretrained weights are downloaded, hash-checked and cached."""
    import torch
    from torchvision import models

    from tritonforge.sources import pretrained

    if spec.weights != "default":
        # Said outright because these two warn that their default will change.
        options: dict[str, Any] = (
            {"init_weights": True} if name in {"googlenet", "inception_v3"} else {}
        )
        if _kind(name) in {"detection", "segmentation"}:
            options |= {"weights_backbone": None}
        return models.get_model(name, weights=None, **options)
    if default is None:
        raise SourceError(
            f"torchvision has no pretrained weights for {name!r}",
            hint="use --weights random, or --weights FILE",
        )
    what = f"the pretrained weights {default} of {name!r}"
    with pretrained.fetched(what, kept=torch.hub.get_dir()):
        return models.get_model(name, weights=default, progress=sys.stderr.isatty())


def _input(name: str, module: Any, default: Any) -> TensorSpec:
    """Describe the one input: images, or clips for video models."""
    size = _crop(default) or [getattr(module, "image_size", 224)] * 2
    frames: tuple[int, ...] = ()
    if _kind(name) == "video":
        prefix = next((key for key in _FRAMES if name.startswith(key)), "")
        frames = (_FRAMES.get(prefix, _DEFAULT_FRAMES),)
    return TensorSpec(name="input", dtype=DType.FP32, dims=("batch", 3, *frames, *size))


def _crop(default: Any) -> list[int]:
    """Return height and width from the preprocessing that belongs to the weights."""
    if default is None:
        return []
    preset = default.transforms()
    size = getattr(preset, "crop_size", None) or getattr(preset, "resize_size", None) or []
    return list(size) * 2 if len(size) == 1 else list(size)


def _preprocessing(default: Any) -> dict[str, Any]:
    """Return what the preset that belongs to the weights does to an image."""
    preset = default.transforms() if default is not None else None
    mode = getattr(preset, "interpolation", None)
    return images.facts(
        resize=getattr(preset, "resize_size", None) or (),
        crop=_crop(default),
        interpolation=getattr(mode, "value", "bilinear"),
        mean=getattr(preset, "mean", None) or images.MEAN,
        std=getattr(preset, "std", None) or images.STD,
    )
