"""From a config to a module with its weights, in FP32."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tritonforge.errors import SourceError
from tritonforge.sources.hf import beside, classes
from tritonforge.sources.hf.place import Place
from tritonforge.spec import ModelSpec

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_LISTED = 3
_EMBEDS = "sentence-similarity"


def make(place: Place, spec: ModelSpec) -> tuple[Any, tuple[str, ...]]:
    """Return the module in eval mode, and notes; raises `SourceError`."""
    from tritonforge.sources import weights as states

    config = configured(place)
    if getattr(config, "quantization_config", None) is not None:
        raise SourceError(
            f"the weights of {place.name} are quantized by kernels that ONNX cannot express",
            hint="build the model that it was quantized from",
        )
    listed = _parts(place)
    made = classes.of(config, place.task if listed is None else "feature-extraction")
    for part in {id(each): each for each in (config, config.get_text_config())}.values():
        part.use_cache = False  # what was computed before comes back as inputs, not by itself
    config.return_dict = True
    notes: tuple[str, ...] = ()
    if spec.weights == "default":
        # The vector of a text is made of its tokens' vectors, not of what is pooled before.
        unused = () if listed is None else ("pooler.",)
        module, notes = _pretrained(made, config, place, unused)
    else:
        module = _random(made, config)
        if spec.weights != "random":
            states.load_file(module, Path(spec.weights))
    if listed is not None:
        from tritonforge.sources.hf import sentences

        module = sentences.embedder(module, listed, place)
    return module.float().eval(), notes


def _parts(place: Place) -> Sequence[Mapping[str, Any]] | None:
    """Return the parts of a model that makes one vector of a text, None of another."""
    if place.task not in {None, _EMBEDS}:
        return None
    found = beside.read(place, "modules.json")
    if isinstance(found, list) and found and all(isinstance(each, dict) for each in found):
        return found
    if place.task == _EMBEDS:
        raise SourceError(
            f"{place.name} has no modules.json, which says how it makes one vector of a text",
            hint="#feature-extraction builds the transformer alone",
        )
    return None


def configured(place: Place) -> Any:
    """Read the config; raises `SourceError`."""
    from transformers import AutoConfig

    if place.folder is not None and not (place.folder / "config.json").is_file():
        raise SourceError(
            f"{place.name} holds no config.json", hint="give the folder of one transformers model"
        )
    try:
        return AutoConfig.from_pretrained(place.name, **place.options)
    except OSError as error:
        raise _not_had(place, error) from error
    except Exception as error:  # each kind of model reads its config in its own way
        raise SourceError(
            f"transformers does not know the config of {place.name}: {_line(error)}",
            hint="code that comes with a model is never run; a newer transformers may know it",
        ) from error


def _random(made: Any, config: Any) -> Any:
    """Make the module as its library initialises it."""
    try:
        return made(config)
    except Exception as error:  # a config may ask for what cannot be
        raise SourceError(
            f"{made.__name__} cannot be made from its config: {_line(error)}",
            hint="mend config.json, or name another task behind #",
        ) from error


def _pretrained(
    made: Any, config: Any, place: Place, unused: tuple[str, ...]
) -> tuple[Any, tuple[str, ...]]:
    """Load the weights that belong to the model; what they lack is no matter of chance."""
    import torch
    from huggingface_hub import constants
    from transformers.utils import logging

    from tritonforge.sources import pretrained

    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    if place.folder is not None and not any(
        found for kind in _WEIGHTS for found in place.folder.glob(kind)
    ):
        raise SourceError(
            f"{place.name} holds no weights",
            hint="put model.safetensors there, give --weights FILE, or use --weights random",
        )
    written = getattr(config, "dtype", None)
    what = f"the weights of {place.name}"
    with pretrained.fetched(what, constants.HF_HUB_CACHE) if place.folder is None else _read(what):
        module, loading = made.from_pretrained(
            place.name,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            **place.options,
        )
    lacking = sorted(each for each in loading["missing_keys"] if not each.startswith(unused))
    if lacking:
        more = f" and {len(lacking) - _LISTED} more" if len(lacking) > _LISTED else ""
        raise SourceError(
            f"the weights of {place.name} lack {', '.join(lacking[:_LISTED])}{more}, which"
            f" {made.__name__} needs",
            hint="name the task behind # that they were trained for, or use --weights random",
        )
    if written in {torch.float16, torch.bfloat16}:
        return module, (f"the weights are {str(written).removeprefix('torch.')}, exported in FP32",)
    return module, ()


@contextmanager
def _read(what: str) -> Iterator[None]:
    """Say what is wrong with weights that lie in a folder."""
    try:
        yield
    except Exception as error:  # every format has its own way to be damaged
        raise SourceError(
            f"cannot read {what}: {_line(error)}",
            hint="put the weights of this very architecture there, or use --weights random",
        ) from error


def _not_had(place: Place, error: OSError) -> SourceError:
    """Return the error of a config that cannot be had."""
    return SourceError(
        f"cannot read the config of {place.name}: {_line(error)}",
        hint="check the ID and the network, or give a folder that is on this machine",
    )


def _line(error: Exception) -> str:
    """Return the first line of an error."""
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"[:300]
