"""The files of a model's versions, by what they say of themselves."""

import re
from pathlib import Path
from typing import Any

from tritonforge import pbtxt, presence
from tritonforge.check import scripts
from tritonforge.check.known import Known
from tritonforge.errors import GraphError
from tritonforge.facts import Asked
from tritonforge.graph.external import described
from tritonforge.release import Release
from tritonforge.repository import MODEL, reading
from tritonforge.rules import Content, File, backends
from tritonforge.sheltered import LostError
from tritonforge.spec import Accelerator

_OF_OTHER_FORMATS = {backends.PYTHON, "pytorch", "tensorrt"}
# How a file of ONNX begins: its IR version, then the tag of another field of its message.
_ONNX = re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x28\x32\x3a\x42]")
# How a file of ONNX Runtime's own format ends its name and begins.
_OWN_NAME, _OWN = ".ort", re.compile(rb".{4}ORTM", re.DOTALL)


def files_of(
    folder: Path,
    message: Any,
    backend: str | None,
    versions: tuple[int, ...],
    release: Release,
    known: Known,
) -> dict[int, File]:
    """Read the files of the versions that the server loads."""
    named = message.default_model_filename if backend in backends.LOADING else ""
    name = named or backends.file_of(backend)
    if not name or backend == backends.ENSEMBLE:  # others may call their file as they like
        return {}
    found = {}
    for number in versions:
        path = f"{reading.folder_of(number)}/{name.lstrip('/')}".rstrip("/")
        if ".." in name.split("/") and not _is_within(folder, folder / path):
            continue  # it leads to what is no part of the model, and is not looked at
        if backend == backends.ONNX and _is_folder(folder / path):
            path = f"{path}/{MODEL}"
        if reading.is_missing(folder / path):
            other = backends.INSTEAD.get(backend or "")
            if other and not reading.is_missing(folder / reading.folder_of(number) / other):
                continue
            strayed = _strayed((folder / path).parent)
            found[number] = File(path=path, missing=True, fault="it is not there", strayed=strayed)
        elif backend == backends.ONNX and path.lower().endswith(_OWN_NAME):
            found[number] = _of_own_format(folder / path, path)
        elif backend == backends.ONNX:
            found[number] = _file(folder, path, release, message, known)
        else:
            found[number] = _of_another(folder / path, path, backend)
    return found


def _of_another(file: Path, path: str, backend: str | None) -> File:
    """Look at how a file of another backend begins, and at what a model of Python defines."""
    if presence.is_pointer(file) and backend in backends.FILES.values():
        return File(path=path, fault="it is a pointer of Git LFS, not the model")
    if backend in _OF_OTHER_FORMATS and _is_onnx(file):
        return File(path=path, fault=f"it is a file of ONNX, which {backend} does not serve")
    return File(path=path, script=scripts.script(file) if backend == backends.PYTHON else None)


def _of_own_format(file: Path, path: str) -> File:
    """Look at how a file begins that ONNX Runtime takes, by its name, for one of its own format.

    What else it says is not read. Source: microsoft/onnxruntime, `inference_session.cc` (Load).
    """
    own = _begins(file, _OWN)
    fault = None if own else "it is not of ONNX Runtime's own format, for which its name has it"
    return File(path=path, fault=fault)


def _is_onnx(file: Path) -> bool:
    """Say whether a file begins as one of ONNX."""
    return _begins(file, _ONNX)


def _begins(file: Path, how: re.Pattern[bytes]) -> bool:
    """Say whether there is a file that begins so."""
    try:
        if not file.is_file():
            return False
        with file.open("rb") as held:
            return how.match(held.read(8)) is not None
    except OSError:
        return False


def _is_within(folder: Path, path: Path) -> bool:
    """Say whether a path leads to what is in a folder, whether it is there or not."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # it is too long, has a NUL, or goes in circles
        return False


def _is_folder(path: Path) -> bool:
    """Say whether a folder is there; a config may name what no file can be called."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # it is too long, or has a NUL
        return False


def _strayed(folder: Path) -> dict[str, str]:
    """Say of the links in a folder that lead nowhere where they say; nothing where none may."""
    try:
        return {each: str((folder / each).readlink()) for each in reading.broken(folder)}
    except (OSError, ValueError):  # it is too long, or has a NUL
        return {}


def _file(folder: Path, path: str, release: Release, message: Any, known: Known) -> File:
    """Read a file by its graph alone."""
    try:
        may_use_gpu = pbtxt.may_use_gpu(message)
        wished = Asked(release=release, accelerator=_asked(message), may_use_gpu=may_use_gpu)
        facts = known.of(folder / path, wished)
    except GraphError as error:
        return File(path=path, fault=relative(error.message, folder / path))
    except LostError as error:
        return File(path=path, lost=str(error))
    served = pbtxt.completed(message, facts.has)
    content = Content(
        path=path,
        has=facts.has,
        served=served,
        misfits=tuple(pbtxt.misfits(served, facts.has, scalars=release.scalars)),
        refusal=facts.refusal,
        externals=tuple(described(folder / path, each) for each in facts.needs),
        domains=facts.domains,
        inner=facts.inner,
        cached_by=facts.cached_by,
        on_cpu=facts.on_cpu,
        widened=facts.widened,
    )
    return File(path=path, content=content)


def _asked(message: Any) -> Accelerator:
    """Return what a config asks for and gets: none where all its instances are on the CPU."""
    if not pbtxt.may_use_gpu(message):
        return "cpu"
    wanted = message.optimization.execution_accelerators.gpu_execution_accelerator
    if any(each.name == "tensorrt" for each in wanted):
        return "tensorrt"
    return "cuda" if pbtxt.needs_gpu(message) else "cpu"


def relative(said: str, path: Path) -> str:
    """Name a file as a finding does, whose place is told beside."""
    return said.replace(str(path), "it")
