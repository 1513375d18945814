"""Models by their torchvision name: `resnet50`, `torchvision:resnet50`."""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from difflib import get_close_matches
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

from tritonforge.errors import SourceError
from tritonforge.sources.protocol import Loaded
from tritonforge.spec import Domain, ModelSpec
from tritonforge.tensors import DType, TensorSpec

_PREFIX = "torchvision:"
_DOWNLOAD_TIMEOUT = 30.0  # seconds without a byte
# What the video architectures were trained on, where their weights do not say.
_FRAMES = {"mvit": 16, "swin3d": 32}
_DEFAULT_FRAMES = 16


def claims(text: str) -> bool:
    """Take `torchvision:NAME` and every bare name."""
    return text.startswith(_PREFIX) or re.fullmatch(r"[A-Za-z0-9_.-]+", text) is not None


def model_name(text: str) -> str:
    """Return the architecture's name."""
    return text.removeprefix(_PREFIX)


def file(_: str) -> None:
    """Return none: torchvision's version says what an architecture is."""


def load(text: str, spec: ModelSpec) -> Loaded:
    """Make the architecture with its pretrained, random or given weights."""
    import torch
    import torchvision

    from tritonforge.sources import weights as states

    name = known(model_name(text))
    enum = torchvision.models.get_model_weights(name)
    default = next(iter(enum), None) and enum.DEFAULT
    torch.manual_seed(spec.seed)
    module = _make(name, default, spec).eval()
    if spec.weights not in {"default", "random"}:
        states.load_file(module, Path(spec.weights))
    side = _facts(name, module, default)
    return Loaded(
        module=module,
        inputs=spec.inputs or (side,),
        domains={side.name: _domain(default)},
        asked=bool(spec.inputs),
        labels=tuple(default.meta.get("categories", ())) if default else (),
        weights=_words(spec, default),
        weights_sha256=states.fingerprint(module),
        versions={"torch": torch.__version__, "torchvision": torchvision.__version__},
    )


def known(name: str) -> str:
    """Return the name where torchvision has it and Triton can serve its kind."""
    from torchvision import models

    listed = models.list_models()
    if name not in listed:
        near = get_close_matches(name, listed, n=3)
        raise SourceError(
            f"torchvision has no model {name!r}",
            hint=f"did you mean {', '.join(near)}?"
            if near
            else "a file is named with its suffix (model.onnx), a factory file.py:factory",
        )
    unfit = {models.detection: "takes a list of images", models.optical_flow: "takes image pairs"}
    for package, reason in unfit.items():
        if name in models.list_models(package):
            raise SourceError(
                f"{name!r} {reason}, which has no tensor signature of its own",
                hint="wrap it: a file.py:factory that returns the module with its example inputs",
            )
    if name.startswith("quantized_"):
        raise SourceError(
            f"{name!r} runs torch's own quantized kernels, which ONNX cannot express",
            hint=f"build {name.removeprefix('quantized_')!r} instead",
        )
    return name


def _make(name: str, default: Any, spec: ModelSpec) -> Any:
    """Build the architecture; pretrained weights are downloaded, hash-checked and cached."""
    import torch
    from torchvision import models

    from tritonforge.sources import weights as states

    if spec.weights != "default":
        # Said outright because these two warn that their default will change.
        options: dict[str, Any] = (
            {"init_weights": True} if name in {"googlenet", "inception_v3"} else {}
        )
        if name in models.list_models(models.segmentation):
            options |= {"weights_backbone": None}
        return models.get_model(name, weights=None, **options)
    if default is None:
        raise SourceError(
            f"torchvision has no pretrained weights for {name!r}",
            hint="use --weights random, or --weights FILE",
        )
    try:
        with _safe_download():
            return models.get_model(name, weights=default, progress=sys.stderr.isatty())
    except (URLError, HTTPException, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        raise SourceError(
            f"cannot download the pretrained weights {default} of {name!r}: {reason}",
            hint="check the network, give --weights FILE, or use --weights random",
        ) from error
    except Exception as error:  # torch refuses what is damaged, or would run code, in many ways
        raise SourceError(
            f"the cached pretrained weights {default} of {name!r} cannot be read:"
            f" {states.reason(error)}",
            hint=f"delete their file below {torch.hub.get_dir()} and build again",
        ) from error


@contextmanager
def _safe_download() -> Iterator[None]:
    """Bound the wait for the network, let torch unpickle nothing but tensors and print aside."""
    before, forced = socket.getdefaulttimeout(), os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        with redirect_stdout(sys.stderr):  # stdout carries the answer alone
            yield
    finally:
        socket.setdefaulttimeout(before)
        if forced is None:
            del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]


def _facts(name: str, module: Any, default: Any) -> TensorSpec:
    """Describe the one input: images, or clips for video models."""
    from torchvision import models

    size = _crop(default) or [getattr(module, "image_size", 224)] * 2
    frames: tuple[int, ...] = ()
    if name in models.list_models(models.video):
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


def _domain(default: Any) -> Domain:
    """Return the range of normalised pixels: (0 - mean) / std to (1 - mean) / std."""
    preset = default.transforms() if default is not None else None
    mean = getattr(preset, "mean", None) or [0.485, 0.456, 0.406]
    std = getattr(preset, "std", None) or [0.229, 0.224, 0.225]
    low = min(-m / s for m, s in zip(mean, std, strict=True))
    high = max((1 - m) / s for m, s in zip(mean, std, strict=True))
    return Domain(kind="uniform", low=round(low, 4), high=round(high, 4))


def _words(spec: ModelSpec, default: Any) -> str:
    """Say where the weights come from."""
    if spec.weights == "random":
        return f"random, seed {spec.seed}"
    return f"pretrained {default}" if spec.weights == "default" else f"file {spec.weights}"
