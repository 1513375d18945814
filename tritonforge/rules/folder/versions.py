"""Rules of the folders that are versions, or are meant as some."""

import re
from collections.abc import Collection, Iterator

from tritonforge.repository import reading
from tritonforge.rules.backends import ENSEMBLE, FILES
from tritonforge.rules.config.general import serves_none
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Model

_MEANT = re.compile(r"[vV](?:ersion)?[-_. ]?[0-9]+|0[0-9]+")
_NUMBER = re.compile(r"[1-9][0-9]*$")
_KINDS = {each.rpartition(".")[2] for each in FILES}  # of files that may be models


@rule("LAY102", "refused")
def a_version_is_served(model: Model) -> Iterator[Found]:
    """A model has a folder of a version that its policy has served, an ensemble, too.

    Versions lie in folders that begin with a number above 0; of a number with a 0 before it, and
    of a name that begins otherwise, the server makes no version. Git keeps no empty folder, so that
    an ensemble's is easily lost.

    Source: triton-inference-server/core, `model_lifecycle.cc` (VersionsToLoad).
    Remedy: put the model's file into a folder called 1, or mend version_policy.
    """
    if (
        model.versions
        or model.is_lost
        or model.is_nested
        or (model.config is None and model.text is not None)
    ):
        return
    numbers = [each for each in map(reading.version_of, model.folders) if each is not None]
    if numbers and model.message is not None and serves_none(model.message):
        return  # which GEN110 tells of the policy alone
    if numbers:
        there = ", ".join(map(str, sorted(numbers)))
        yield Found(said=f"the policy has no version served: there is {there}", at="version_policy")
        return
    meant = next((name for name in model.folders if _holds_a_file(model, name)), None)
    said = "there is no version: a folder called by a number, such as 1"
    file = next((each for each in model.entries if each.isdecimal()), None)
    if file is not None:
        said = f"there is no version: {file!r} is a file, and no folder"
    if meant is not None:
        why = f"the server reads no number in {meant!r}"
        if meant.isascii() and meant.isdigit():
            why = f"{meant!r} begins with a 0, and is no number to the server"
        said = f"there is no version: {why}{_renamed(meant, model.folders)}"
    yield Found(said=said, file=meant or file)


@rule("LAY103", "refused")
def called_by_its_number_alone(model: Model) -> Iterator[Found]:
    """The folder of a version that is served is called by its number and nothing else.

    The server reads the number that a name begins with, so `3.partial` is version 3, and `-1` and
    `1e3` are versions, too; then it looks for the model in a folder called by that number alone.

    Source: triton-inference-server/core, `model_config_utils.cc` (GetModelVersionFromPath), which
    reads with `std::stoll`.
    Remedy: rename the folder; one that is to be passed over begins with a dot.
    """
    folders = model.folders
    for number in model.versions if model.backend != ENSEMBLE else ():  # which has no file there
        if reading.folder_of(number) not in folders:
            name = next(each for each in folders if reading.version_of(each) == number)
            yield Found(
                said=f"the server takes {name!r} for version {number}, and looks for it in"
                f" {reading.folder_of(number)!r}",
                file=name,
            )


@rule("LAY104", "refused")
def a_number_of_64_bits(model: Model) -> Iterator[Found]:
    """The name of a folder begins with no number beyond 64 bits.

    The server does not catch what `std::stoll` throws at such a number, and ends: with it all other
    models.

    Source: triton-inference-server/core, `model_config_utils.cc` (GetModelVersionFromPath).
    Remedy: rename the folder, or take it out of the model's.
    """
    for name in model.folders:
        number = reading.version_of(name)
        if number is not None and not -reading.MOST_VERSION <= number <= reading.MOST_VERSION:
            said = f"{name[:40]!r} begins with a number beyond 64 bits, which ends the server"
            yield Found(said=said, file=name)


@rule("LAY112", "refused")
def a_version_that_is_not_there_is_named_once(model: Model) -> Iterator[Found]:
    """A version that version_policy names twice is there.

    The server passes over a version that is not there, and takes down that it has seen it; at the
    second mention it takes it for one that is there, and fails to load it.

    Source: triton-inference-server/core, `model_lifecycle.cc` (VersionsToLoad).
    Remedy: add the version, or take its number out.
    """
    if model.config is None or not model.versions or model.backend == ENSEMBLE:  # has no file there
        return
    there = {*map(reading.version_of, model.folders)}
    seen: set[int] = set()
    for number, version in enumerate(model.config.message.version_policy.specific.versions):
        if version in seen and version not in there:
            path = f"version_policy.specific.versions[{number}]"
            yield Found(
                said=f"version {version} is named again and not there, and the server tries it",
                at=path,
                changes=(Change(path=path, value=None),),
            )
        seen.add(version)


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
            held = _holds_a_file(model, folder)
            meant = held and _MEANT.fullmatch(folder) and reading.version_of(folder) is None
        else:
            meant = folder.isascii() and folder.isdigit() and folder not in model.broken
        if meant:
            what = "the folder" if name.endswith("/") else "a file, no folder:"
            better = _renamed(folder, [each.rstrip("/") for each in model.entries])
            yield Found(said=f"the server passes over {what} {folder!r}{better}", file=folder)


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


@rule("LAY303", "advice")
def versions_from_one(model: Model) -> Iterator[Found]:
    """Versions begin with 1.

    The server takes 0 as well. tritonforge does not, and clients may take it for none.

    Source: triton-inference-server/core, `model_config_utils.cc` (GetModelVersionFromPath).
    Remedy: rename the folder.
    """
    if 0 in model.versions and reading.folder_of(0) + "/" in model.entries:
        yield Found(said="the version is 0", file="0")


def _renamed(folder: str, names: Collection[str]) -> str:
    """Say what a folder is to be called to be the version that it is meant as, unless that is."""
    number = _NUMBER.search(folder) if _MEANT.fullmatch(folder) else None
    meant = "" if number is None else number[0]
    return f"; rename it to {meant!r}" if meant and meant not in names else ""


def _holds_a_file(model: Model, name: str) -> bool:
    """Say whether a folder holds what may be a model's file."""
    return any(each.rpartition(".")[2] in _KINDS for each in model.inside.get(f"{name}/", ()))
