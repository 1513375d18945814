"""Models by their timm name, with or without a tag of weights: `timm:resnet50.a1_in1k`."""

from pathlib import Path
from typing import Any

from tritonforge.errors import SourceError, did_you_mean
from tritonforge.sources import images
from tritonforge.sources.protocol import Loaded
from tritonforge.spec import ModelSpec
from tritonforge.tensors import DType, TensorSpec

_PREFIX = "timm:"


def claims(text: str) -> bool:
    """Take `timm:NAME`."""
    return text.startswith(_PREFIX)


def names() -> list[str]:
    """List the architectures that timm has, and each with every tag of its weights."""
    import timm

    return [*timm.list_models(), *timm.list_pretrained()]


def model_name(text: str) -> str:
    """Return the architecture's name, and the tag."""
    return text.removeprefix(_PREFIX)


def origin(_: str) -> None:
    """Return none: the library's version says what an architecture is."""


def load(text: str, spec: ModelSpec) -> Loaded:
    """Make the architecture, as timm makes it for an export, with the weights that are wished."""
    import timm
    import torch

    from tritonforge.sources import weights as states

    name = known(model_name(text))
    torch.manual_seed(spec.seed)
    module = _make(name, spec).eval()
    if spec.weights not in {"default", "random"}:
        states.load_file(module, Path(spec.weights))
    facts = _preprocessing(module)
    side = TensorSpec(
        name="input", dtype=DType.FP32, dims=("batch", len(facts["mean"]), *facts["crop"])
    )
    return Loaded(
        module=module,
        inputs=spec.inputs or (side,),
        domains={side.name: images.domain(facts["mean"], facts["std"])},
        asked=bool(spec.inputs),
        labels=_labels(module),
        weights=states.origin(spec, _pretrained(module)),
        weights_sha256=states.fingerprint(module),
        versions={"torch": torch.__version__, "timm": timm.__version__},
        preprocessing={side.name: facts},
    )


def known(name: str) -> str:
    """Return the name where timm has it; raises `SourceError`."""
    listed = names()
    if name not in listed:
        architecture, _, tag = name.partition(".")
        tags = [each.partition(".")[2] for each in listed if each.startswith(f"{architecture}.")]
        if tag and architecture in listed:
            raise SourceError(
                f"timm has no weights {tag!r} of {architecture!r}",
                hint=f"it has {', '.join(tags)}" if tags else "use --weights random",
            )
        near = did_you_mean(name, listed)
        raise SourceError(
            f"timm has no model {name!r}", hint=near or "timm.list_models() lists what it has"
        )
    return name


def _make(name: str, spec: ModelSpec) -> Any:
    """Build the architecture; pretrained weights are downloaded and cached."""
    import timm
    from huggingface_hub import constants

    from tritonforge.sources import hub, pretrained

    if spec.weights != "default":
        return timm.create_model(name, pretrained=False, exportable=True)
    if not timm.models.is_model_pretrained(name):
        raise SourceError(
            f"timm has no pretrained weights for {name!r}",
            hint="use --weights random, or --weights FILE",
        )
    what = f"timm's pretrained weights of {name!r}"
    with pretrained.fetched(what, constants.HF_HUB_CACHE), hub.reached():
        return timm.create_model(name, pretrained=True, exportable=True)


def _preprocessing(module: Any) -> dict[str, Any]:
    """Return what timm's own evaluation does to an image for this model."""
    from timm.data import resolve_data_config

    found = resolve_data_config({}, model=module)
    crop, mode = found["input_size"][1:], found["crop_mode"]
    resize = [int(side / found["crop_pct"]) for side in crop]
    return images.facts(
        resize=resize[:1] if mode == "center" and crop[0] == crop[1] else resize,
        crop=crop,
        mode=mode,
        interpolation=found["interpolation"],
        mean=found["mean"],
        std=found["std"],
    )


def _labels(module: Any) -> tuple[str, ...]:
    """Return the names of the classes, where timm knows which subset of ImageNet they are."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset(module)
    return tuple(ImageNetInfo(subset).label_descriptions()) if subset else ()


def _pretrained(module: Any) -> str:
    """Say where timm's own weights of a model come from."""
    found = module.pretrained_cfg
    return f"pretrained {found.get('hf_hub_id') or found.get('url') or found['architecture']}"
