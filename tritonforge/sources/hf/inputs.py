"""The inputs of a transformers model: by its signature, its config and what lies beside it."""

import inspect
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from tritonforge.errors import SourceError
from tritonforge.sources import images
from tritonforge.sources.hf import facts
from tritonforge.spec import BOXES, Domain, Range
from tritonforge.tensors import Dim, DType, TensorSpec

# As far as a proof goes unless --range says more: attention grows by the square.
_LONGEST, _LONGEST_ANSWER = 512, 64
_SAMPLES = Range(low=4000, high=32000, opt=16000)  # a quarter to two seconds at 16 kHz
_FRAMES = Range(low=32, high=512, opt=128)
_TYPES = 2
_LETTERS = 0x250  # of Latin scripts, where ids are characters and not rows of a table
# What a model takes of each, in the order in which it is looked for.
_TEXT = ("input_ids", "bbox", "attention_mask", "token_type_ids")
_OTHER = ("pixel_values", "input_values", "input_features", "decoder_input_ids")


# How the arguments begin that hold no tensor of a request.
_FLAGS = ("output_", "return_", "use_", "past_", "labels", "kwargs", "args")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs in the order of `forward`, what they hold, their sizes.

    `notes` say of dimensions where their sizes end before the model's.
    """

    tensors: tuple[TensorSpec, ...]
    domains: Mapping[str, Domain]
    ranges: Mapping[str, Range]
    notes: Mapping[str, str]


def of(
    module: Any,
    preprocessor: Mapping[str, Any],
    longest: int | None,
    stated: Container[str] = (),
) -> Inputs:
    """Describe the inputs of a model; raises `SourceError` for one that nothing is known of.

    `longest` says how many tokens its tokenizer makes at most, `stated` what the user describes.
    """
    takes = inspect.signature(module.forward).parameters
    names = [name for name in takes if name in _wanted(module, takes)]
    needed = [
        name
        for name, each in takes.items()
        if each.default is each.empty
        and each.kind not in {each.VAR_KEYWORD, each.VAR_POSITIONAL}
        and name not in names
        and name not in stated
    ]
    if needed or not (names or stated):
        told = [name for name in takes if not name.startswith(_FLAGS)]
        raise SourceError(
            f"what {type(module).__name__} takes as {', '.join(needed or told)} is not known",
            hint="state every input, as in --input input_ids:INT64:batch,seq",
        )
    made = {name: _described(name, module, preprocessor) for name in names}
    dims = {dim for tensor, _ in made.values() for dim in tensor.dims}
    ranges, notes = _ranges(dims, module, longest)
    return Inputs(
        tensors=tuple(tensor for tensor, _ in made.values()),
        domains={name: domain for name, (_, domain) in made.items()},
        ranges=ranges,
        notes=notes,
    )


def _wanted(module: Any, takes: Mapping[str, Any]) -> set[str]:
    """Name the arguments that are inputs of a request."""
    wanted = set(_OTHER) & set(takes)
    if "noise" in takes and _hidden(module) is not None:
        wanted.add("noise")
    if not module.config.is_encoder_decoder:
        wanted.discard("decoder_input_ids")
    if "input_ids" in takes:
        wanted |= set(_TEXT) & set(takes)
        # Of one type there is nothing to say (RoBERTa).
        if (getattr(module.config.get_text_config(), "type_vocab_size", None) or 0) < _TYPES:
            wanted.discard("token_type_ids")
    return wanted


def _described(
    name: str, module: Any, preprocessor: Mapping[str, Any]
) -> tuple[TensorSpec, Domain]:
    """Return the tensor and the domain of an input."""
    text = module.config.get_text_config()
    ids = ("batch", "decoder_seq" if name == "decoder_input_ids" else "seq")
    if name in {"input_ids", "decoder_input_ids"}:
        return _whole(name, ids), Domain(kind="integers", low=0, high=_vocabulary(module))
    if name == "token_type_ids":
        return _whole(name, ids), Domain(kind="integers", low=0, high=text.type_vocab_size)
    if name == "bbox":
        places = getattr(text, "max_2d_position_embeddings", None) or BOXES
        return _whole(name, (*ids, 4)), Domain(kind="boxes", high=min(BOXES, places))
    if name == "attention_mask":
        return _whole(name, ids), Domain(kind="mask")
    if name == "pixel_values":
        mean, std = facts.normalised(preprocessor)
        return _floats(name, _pixels(module.config, preprocessor)), images.domain(mean, std)
    noisy, dims = name == "noise", _sound(name, module.config)
    domain = Domain(kind="uniform" if noisy else "normal")
    return _floats(name, ("batch", _hidden(module) or 1) if noisy else dims), domain


def _hidden(module: Any) -> int | None:
    """Return how many patches a model draws a number for, to hide the highest; None of others.

    Without these numbers as an input no two of its answers are the same.
    """
    for part in module.modules():
        if hasattr(part, "random_masking") and getattr(part, "is_mae", True):
            of = getattr(part, "patch_embeddings", part)
            found = getattr(part, "num_mask_units", None) or getattr(of, "num_patches", None)
            return int(found) if found else None
    return None


def _vocabulary(module: Any) -> int:
    """Return how many ids a model knows; one without a vocabulary takes characters as they are."""
    said = getattr(module.config.get_text_config(), "vocab_size", None)
    return int(said) if said else _LETTERS


def _parts(config: Any) -> list[Any]:
    """Return a config and those of the parts of the model, the outermost first."""
    found = [config]
    for each in found:
        found += [part for part in vars(each).values() if hasattr(part, "get_text_config")]
    return found


def _said(config: Any, *keys: str) -> Any:
    """Return the first value that a config, or that of a part, has under one of the keys."""
    values = (getattr(part, key, None) for part in _parts(config) for key in keys)
    return next(filter(None, values), None)


def _pixels(config: Any, preprocessor: Mapping[str, Any]) -> tuple[Dim, ...]:
    """Return the dims of an image, or of a clip."""
    sizes = ("image_size", "input_size")
    parts = _parts(getattr(config, "vision_config", None) or config)
    vision = next((part for part in parts if any(map(vars(part).get, sizes))), parts[0])
    size = next(filter(None, map(vars(vision).get, sizes)), None)
    sides = (size, size) if isinstance(size, int) else tuple(size or ())
    sides = sides or facts.crop(preprocessor) or (224, 224)
    frames = getattr(vision, "num_frames", None)
    channels = getattr(vision, "num_channels", None) or 3
    return ("batch", *((frames,) if frames else ()), channels, *sides)


def _sound(name: str, config: Any) -> tuple[Dim, ...]:
    """Return the dims of a sound: samples, or the frames of a spectrogram."""
    bins: int | None = _said(config, "num_mel_bins", "input_feat_per_channel")
    if name == "input_values":
        length = getattr(config, "max_length", None)
        if bins and length:
            return ("batch", int(length), bins)
        # What makes codes of sounds takes them by channel.
        channels = getattr(config, "audio_channels", None) or int(hasattr(config, "codebook_size"))
        return ("batch", *((channels,) if channels else ()), "samples")
    if bins and (square := _said(config, "spec_size")):  # folded into a square image
        return ("batch", 1, int(square) * int(_said(config, "freq_ratio") or 1), bins)
    if bins and hasattr(config, "max_source_positions") and not hasattr(config, "num_conv_layers"):
        return ("batch", bins, 2 * config.max_source_positions)  # whisper: a window of 30 s
    return ("batch", "frames", bins or int(getattr(config, "feature_projection_input_dim", 80)))


def _ranges(
    dims: set[Dim], module: Any, longest: int | None
) -> tuple[dict[str, Range], dict[str, str]]:
    """Return the sizes of the dynamic dimensions, and what is to be said of them."""
    ranges: dict[str, Range] = {}
    notes: dict[str, str] = {}
    known = (_positions(module), longest)
    answers = (*known, _said(module.config, "max_target_positions"))
    for name, most, ends in (
        ("seq", _LONGEST, known),
        ("decoder_seq", _LONGEST_ANSWER, answers),
    ):
        if name not in dims:
            continue
        end = min((each for each in ends if each is not None), default=None)
        ranges[name] = Range(low=1, high=min(end or most, most))
        if end is None or end > most:
            goes = f"goes to {end}" if end else "has no end that it knows"
            notes[name] = f"{name} is built for 1..{most}, the model {goes}: --range {name}=1..N"
    ranges |= {name: each for name, each in _SOUNDS.items() if name in dims}
    return ranges, notes


_SOUNDS = {"samples": _SAMPLES, "frames": _FRAMES}


def _positions(module: Any) -> int | None:
    """Return how many positions a model has, None where it knows no end.

    A table with a row for padding starts counting behind it (RoBERTa and its kin).
    """
    config = module.config.get_text_config()
    for name, part in module.named_modules():
        rows = getattr(part, "num_embeddings", None)
        if rows and name.rpartition(".")[2] == "position_embeddings":
            padding = getattr(part, "padding_idx", None)
            return int(rows) if padding is None else int(rows) - padding - 1
    said = getattr(config, "max_position_embeddings", None)
    return int(said) if isinstance(said, int) and said > 0 else None


def _whole(name: str, dims: tuple[Dim, ...]) -> TensorSpec:
    """Return a tensor of whole numbers."""
    return TensorSpec(name=name, dtype=DType.INT64, dims=dims)


def _floats(name: str, dims: tuple[Dim, ...]) -> TensorSpec:
    """Return a tensor of floats."""
    return TensorSpec(name=name, dtype=DType.FP32, dims=dims)
