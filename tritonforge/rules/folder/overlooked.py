"""Rules of names and folders that the server passes over, or reads otherwise than a person."""

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from tritonforge.repository import CONFIG, reading
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model

_STAGED = re.compile(r"\.[0-9a-f]{12}\.partial")
_MEANT = re.compile(r"[vV](?:ersion)?[-_. ]?[0-9]+|0[0-9]+")
_NUMBER = re.compile(r"[1-9][0-9]*$")
_CONFIGS = (CONFIG, "config.pbtext", "config.prototxt", "config.txt", f"{CONFIG}.txt")
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")
_MODELS = (".onnx", ".plan", ".pt", ".py", ".xml")


@rule("LAY201", "wrong")
def versions_are_read(model: Model) -> Iterator[Found]:
    """A folder that is meant as a version has a name that the server reads as one.

    It passes over `007` and `v2`, hidden folders and files in the place of folders, and serves what
    else there is.

    Source: triton-inference-server/core, `model_config_utils.cc` (GetModelVersionFromPath).
    Remedy: rename it to its number, without zeros before it; or take it away.
    """
    if not model.versions:  # that is told as such
        return
    for name in model.entries:
        folder = name.removesuffix("/")
        if name.endswith("/"):
            held = any(each.endswith(_MODELS) for each in model.inside.get(name, ()))
            meant = held and _MEANT.fullmatch(folder) and reading.version_of(folder) is None
        else:
            meant = folder.isascii() and folder.isdigit() and folder not in model.broken
        if meant:
            what = "the folder" if name.endswith("/") else "a file, no folder:"
            better = renamed(folder, [each.rstrip("/") for each in model.entries])
            yield Found(said=f"the server passes over {what} {folder!r}{better}", file=folder)


def renamed(folder: str, names: Collection[str]) -> str:
    """Say what a folder is to be called to be the version that it is meant as, unless that is."""
    number = _NUMBER.search(folder) if _MEANT.fullmatch(folder) else None
    meant = "" if number is None else number[0]
    return f"; rename it to {meant!r}" if meant and meant not in names else ""


@rule("LAY202", "wrong")
def specific_versions_are_there(model: Model) -> Iterator[Found]:
    """Each version that version_policy names is there.

    The server notes the others in its log and serves what there is.

    Source: triton-inference-server/core, `model_lifecycle.cc` (VersionsToLoad).
    Remedy: add the version, or take its number out.
    """
    if model.config is None or not model.versions:
        return
    seen: set[int] = set()
    for number, version in enumerate(model.config.message.version_policy.specific.versions):
        if version not in model.versions and version not in seen:  # LAY112 tells of what is again
            at = f"version_policy.specific.versions[{number}]"
            yield Found(said=f"there is no version {version}", at=at)
        seen.add(version)


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


@rule("LAY303", "advice")
def versions_from_one(model: Model) -> Iterator[Found]:
    """Versions begin with 1.

    The server takes 0 as well. tritonforge does not, and clients may take it for none.

    Source: triton-inference-server/core, `model_config_utils.cc` (GetModelVersionFromPath).
    Remedy: rename the folder.
    """
    if 0 in model.versions and reading.folder_of(0) + "/" in model.entries:
        yield Found(said="the version is 0", file="0")
