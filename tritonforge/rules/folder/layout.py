"""Rules of names and folders that keep a model from being loaded."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import PurePosixPath

from tritonforge import pbtxt
from tritonforge.pbtxt.editing import schema
from tritonforge.pbtxt.strict import unfilled
from tritonforge.repository import CONFIG, reading
from tritonforge.rules.backends import ONNX
from tritonforge.rules.places import value_of
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Model

_PYTHON = "python"
_ENDING = ".onnx"
_OF_CPU = {"KIND_CPU", "KIND_MODEL"}


@rule("LAY101", "refused")
def named_as_its_folder(model: Model) -> Iterator[Found]:
    """A config has the name of its folder, or none.

    The server calls a model by its folder, and loads none whose config says another name.

    Source: triton-inference-server/core, `model_repository_manager.cc`.
    Remedy: rename the folder or the model; a config without a name takes the folder's.
    """
    name = "" if model.config is None else model.config.message.name
    if name not in {"", model.name} and not unfilled(name):  # which SYN107 tells
        yield Found(
            said=f"the name is {name!r}, the folder's {model.name!r}",
            at="name",
            changes=(Change(path="name", value=schema.quote(model.name)),),
        )


@rule("LAY105", "refused")
def a_config_is_a_file(model: Model) -> Iterator[Found]:
    """What is called config.pbtxt is a file.

    The server reads it as one, and ends where it is a folder: with it all other models.

    Source: triton-inference-server/core, `filesystem/implementations/local.h` (ReadTextFile).
    Remedy: rename the folder.
    """
    if f"{CONFIG}/" in model.entries:
        yield Found(said=f"{CONFIG} is a folder, which ends the server", file=CONFIG)


@rule("LAY106", "refused")
def links_lead_somewhere(model: Model) -> Iterator[Found]:
    """No link in a model's folder leads nowhere, whatever it is called.

    The server asks everything there for its date, and does not load a model of which one cannot
    tell. Links deeper down are only noted in its log.

    Source: triton-inference-server/core, `filesystem/implementations/local.h` (IsDirectory,
    FileModificationTime).
    Remedy: mend or remove the link.
    """
    for name in model.broken:
        yield Found(said=f"the link {name!r} leads nowhere", file=name)


@rule("LAY107", "refused")
def a_backend_is_told(model: Model) -> Iterator[Found]:
    """Something tells which backend serves a model.

    That is the config's backend or platform, else the name of the model's file. For that the server
    looks into one folder alone, the first by its letters: hidden ones and `0notes` come before `1`.

    Source: triton-inference-server/core, `model_config_utils.cc` (AutoCompleteBackendFields).
    Remedy: write `backend: "onnxruntime"` into config.pbtxt, and call the file model.onnx.
    """
    if (
        model.backend is not None
        or model.is_lost
        or model.is_nested
        or f"{CONFIG}/" in model.entries
    ):
        return
    if model.config is None and (model.text is not None or not model.versions):
        return  # LAY102 tells of a folder that has neither a config nor a version
    message = model.message
    if message is not None and (message.platform or message.default_model_filename):
        return  # which GEN106 tells with its place
    if message is not None and message.HasField("ensemble_scheduling"):
        return  # which ENS101 tells
    first = min(model.inside, default="")
    if first in model.closed:
        return
    where = f"in {first}, the first folder," if first else "here"
    said = f"nothing tells the backend: no config does, and nothing {where} is called model.onnx"
    version = f"{reading.folder_of(model.versions[-1])}/" if model.versions else ""
    beside = [each for each in model.inside.get(version, ()) if each.endswith(".onnx")]
    if model.config is None:
        yield Found(said=said, file=version + beside[0] if beside and first == version else first)
        return
    change = Change(path="backend", value='"onnxruntime"')
    yield Found(said=said, changes=(change,) if beside else ())


def _is_of_gpus(model: Model, folder: str) -> bool:
    """Say whether a GPU may load another file, which the config names for such: the CPU does not.

    The backend of ONNX Runtime completes a config from the usual one all the same.
    """
    message = model.message
    if message is None or model.backend == _PYTHON:
        return False
    on_cpu = any(value_of(each, "kind") in _OF_CPU for each in message.instance_group)
    whole = model.backend != ONNX or pbtxt.is_complete(message)
    named = {each.strip("/") for each in message.cc_model_filenames.values()}
    return whole and not on_cpu and any(each.rstrip("/") in named for each in model.inside[folder])


@rule("LAY108", "refused")
def the_file_is_there(model: Model) -> Iterator[Found]:
    """Each version that is served holds the file that its backend loads.

    That is called as default_model_filename says, else model.onnx for ONNX Runtime, model.plan for
    TensorRT, model.pt for PyTorch and model.py for Python. Letters large and small differ. A GPU
    may load another, of cc_model_filenames; nothing is asked of a backend that may load what it
    likes.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (LoadModel); backend,
    `backend_model_instance.cc` (BackendModelInstance); core, `model_config_utils.cc`
    (AutoCompleteBackendFields).
    Remedy: rename the file, or say its name as default_model_filename; mend a link that leads
    nowhere.
    """
    for number, file in model.files.items():
        folder = reading.folder_of(number)
        if not file.missing or folder not in model.folders or _is_of_gpus(model, f"{folder}/"):
            continue
        name = file.path.removeprefix(f"{folder}/")
        if (link := PurePosixPath(name).name) in file.strayed:
            said = f"the link {link!r} leads nowhere: to {file.strayed[link]!r}"
            yield Found(said=said, file=file.path)
            continue
        held = [each for each in model.inside[f"{folder}/"] if not each.endswith("/")]
        near, said = _instead(
            model.backend, name, [each for each in held if each not in file.strayed]
        )
        yield Found(
            said=f"version {number} has no {name!r}, which the server loads"
            f"{said if held else '; the folder holds no file'}",
            file=file.path,
            changes=_named(model, near) if near else (),
        )


@rule("LAY109", "refused")
def models_lie_right_below_the_repository(model: Model) -> Iterator[Found]:
    """A folder of the repository is a model, not a folder of models.

    The server takes each folder right below the root for a model, and looks no deeper.

    Source: triton-inference-server/core, `model_repository_manager.cc` (Poll).
    Remedy: name the inner folder as the repository, or move its models up.
    """
    if model.is_nested:
        inner = next(each for each, names in model.inside.items() if CONFIG in names)
        yield Found(said=f"it is no model: {inner}{CONFIG} lies a folder too deep", file=inner)


@rule("LAY110", "refused")
def a_name_that_python_models_can_have(model: Model) -> Iterator[Found]:
    """The name of a model of the Python backend has no blanks and no quotes.

    That backend starts its process by a line for a shell, in which the name stands as it is; of a
    name with a blank the whole server ends.

    Source: triton-inference-server/python_backend, `stub_launcher.cc`.
    Remedy: rename the model's folder, and the name in its config.
    """
    wrong = sorted({each for each in model.name if each.isspace() or each in "'\"$`;&|<>()"})
    if model.backend == _PYTHON and wrong:
        yield Found(said=f"the name {model.name!r} has {wrong[0]!r} in it", at="name")


@rule("LAY111", "refused")
def the_repository_has_no_lost_link(model: Model) -> Iterator[Found]:
    """No link in the repository leads nowhere.

    The server asks each for what it is, and loads nothing at all where one does not tell.

    Source: triton-inference-server/core, `model_repository_manager.cc` (Poll) and
    `filesystem/implementations/local.h` (GetDirectorySubdirs).
    Remedy: mend or remove the link.
    """
    if model.is_lost:
        yield Found(said="the link leads nowhere, and the server loads no model at all", file="")


def _instead(backend: str | None, name: str, held: list[str]) -> tuple[str | None, str]:
    """Return the file that is probably meant, if any, and what is said of it."""
    near = _near(name, held)
    strange = [each for each in held if each.endswith(_ENDING)]
    if backend != ONNX and not name.endswith(_ENDING) and near in {None, *strange} and strange:
        file = near or strange[0]
        return None, f"; {file!r} is a file of ONNX, which the backend {ONNX} serves"
    return near, f"; {near!r} is there" if near else ""


def _near(name: str, held: list[str]) -> str | None:
    """Return the file that is probably meant, None where that is not plain."""
    ending = name[name.rfind(".") :] if "." in name else ""
    alike = [each for each in held if ending and each.lower().endswith(ending)]
    if len(alike) == 1:
        return alike[0]
    return next(iter(get_close_matches(name, held, n=1)), None)


def _named(model: Model, name: str) -> tuple[Change, ...]:
    """Say the name of the file in the config, where each version that is served holds it."""
    folders = [f"{reading.folder_of(number)}/" for number in model.versions]
    if model.config is None or model.backend != ONNX:
        return ()  # other backends load no such file, whatever it is called
    if not name.endswith(_ENDING) or '"' in name or "\\" in name:
        return ()
    if unfilled(model.config.message.default_model_filename):
        return ()  # the rest of a template is to be filled in, too
    if not all(name in model.inside.get(each, ()) for each in folders):
        return ()
    return (Change(path="default_model_filename", value=f'"{name}"'),)
