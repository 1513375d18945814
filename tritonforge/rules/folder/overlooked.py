"""Rules of names and folders that the server passes over, or reads otherwise than a person."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from tritonforge.repository import CONFIG
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model

_STAGED = re.compile(r"\.[0-9a-f]{12}\.partial")
_CONFIGS = (CONFIG, "config.pbtext", "config.prototxt", "config.txt", f"{CONFIG}.txt")
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")


@rule("LAY203", "wrong")
def a_config_is_called_config(model: Model) -> Iterator[Found]:
    """A config lies in the model's folder and is called config.pbtxt.

    One of another name, or in the folder of a version, the server does not read: it makes one up
    from the file.

    Source: triton-inference-server/core, `constants.h` (kModelConfigPbTxt).
    Remedy: rename it, or move it up.
    """
    if model.text is not None or CONFIG in model.entries or f"{CONFIG}/" in model.entries:
        return
    files = [each for each in model.entries if not each.endswith("/")]
    near = [each for each in files if get_close_matches(each.lower(), _CONFIGS, n=1, cutoff=0.9)]
    near += [f"{each}{CONFIG}" for each, names in model.inside.items() if CONFIG in names]
    if near and (model.versions or not near[0].endswith(f"/{CONFIG}")):
        yield Found(said=f"the server does not read {near[0]!r}, but {CONFIG!r}", file=near[0])


@rule("LAY204", "wrong")
def no_model_is_hidden(model: Model) -> Iterator[Found]:
    """No folder of the repository is hidden.

    The server takes those for models, too: it serves what is put aside, and does not start for what
    is none, such as `.git`.

    Source: triton-inference-server/core, `model_repository_manager.cc` (Poll).
    Remedy: move the folder out of the repository.
    """
    if model.name.startswith("."):
        yield Found(said="the server takes the hidden folder for a model", file="")


@rule("LAY301", "advice")
def no_leftovers(model: Model) -> Iterator[Found]:
    """Nothing is left in a model's folder of a build that was ended.

    The server passes over it, and it takes room.

    Source: `tritonforge/repository/stage.py`.
    Remedy: build the model again, which clears it, or remove it.
    """
    for name in model.entries:
        if _STAGED.fullmatch(name.rstrip("/")):
            yield Found(said=f"{name} is left of a build that was ended", file=name.rstrip("/"))


@rule("LAY302", "advice")
def a_name_for_addresses(model: Model) -> Iterator[Found]:
    """The name of a model is of letters, digits, `_`, `.`, `-` and `+`.

    Clients put it into addresses, where other signs must be written otherwise.

    Source: triton-inference-server/server, `docs/protocol`, whose addresses hold the name.
    Remedy: rename the model's folder, and the name in its config.
    """
    wrong = sorted(set(_PLAIN.sub("", model.name)))
    if wrong:
        yield Found(said=f"the name {model.name!r} has {wrong[0]!r} in it", at="name")
