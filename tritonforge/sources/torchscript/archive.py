"""What a file that is named like a TorchScript archive is, found out without loading it."""

import io
import pickletools
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tritonforge import leftovers
from tritonforge.errors import SourceError
from tritonforge.sources import zipped
from tritonforge.sources.torchscript import code

_DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, KeyError)
_LARGEST = 2**28  # bytes of a file of code or of names
_ON_CUDA = re.compile(r'torch\.device\("cuda(:\d+)?"\)')
_PICKLES = 4  # of torch's format before the zip: a number, a version, the system, the object
_CONTAINERS = frozenset({"collections OrderedDict", "collections defaultdict"})
_WRITE = "write it with torch.jit.script(module).save(…) or torch.jit.trace(module, x).save(…)"


def check(path: Path) -> str:
    """Return all code of an archive; `SourceError` for what is none, or does more than compute."""
    if not zipfile.is_zipfile(path):
        raise _other(path, *_saved_before_zip(path))
    try:
        with zipped.opened(path) as archive:
            names = archive.namelist()
            if _has(names, "data.pkl") and not _has(names, "constants.pkl"):
                raise _other(path, *_globals(_read(archive, _one(names, "data.pkl"))))
            if _has(names, "archive_format"):
                raise SourceError(
                    f"{path} is a program that torch.export saved", hint="let its name end in .pt2"
                )
            fault, text = _looked_through(archive, names)
            zipped.check_sums(archive)
    except _DAMAGED as error:
        raise SourceError(f"cannot read {path}: {error}", hint=_WRITE) from error
    if fault is not None:
        raise SourceError(
            f"{path} holds {fault}: it is not loaded",
            hint="only a model that computes is built; script it again without that, or write a"
            " file.py:factory",
        )
    return text


@contextmanager
def on_cpu(path: Path, text: str) -> Iterator[Path]:
    """Give an archive whose code names no GPU: a copy where tracing has written one into it."""
    if not _ON_CUDA.search(text):
        yield path
        return
    with (
        tempfile.TemporaryDirectory(prefix=leftovers.mark()) as folder,
        zipped.opened(path) as archive,
    ):
        copy = Path(folder) / path.name
        with zipfile.ZipFile(copy, "w") as written:
            for entry in archive.infolist():
                large = entry.file_size > zipfile.ZIP64_LIMIT // 2
                with (
                    archive.open(entry) as old,
                    written.open(entry.filename, "w", force_zip64=large) as new,
                ):
                    if _is_code(entry.filename):
                        new.write(_ON_CUDA.sub('torch.device("cpu")', old.read().decode()).encode())
                    else:
                        shutil.copyfileobj(old, new)
        yield copy


def is_one(path: Path) -> bool:
    """Say whether a file has the parts of a TorchScript archive."""
    with suppress(*_DAMAGED):
        return zipfile.is_zipfile(path) and has(path, "constants.pkl")
    return False


def has(path: Path, name: str) -> bool:
    """Say whether an archive has a file of that name."""
    with zipped.opened(path) as archive:
        return _has(archive.namelist(), name)


def _looked_through(archive: zipfile.ZipFile, names: list[str]) -> tuple[str | None, str]:
    """Say what an archive holds that must not be loaded, and return all of its code."""
    texts: list[str] = []
    if len(set(names)) != len(names):
        return "two files of one name", ""
    if _has(names, "model.json") or not _has(names, "constants.pkl"):
        return "no module as torch.jit has saved it since torch 1.4", ""
    for name in names:
        if _is_code(name):
            texts.append(_read(archive, name).decode("utf-8", "replace"))
            fault = code.fault_of(texts[-1])
        elif name.lower().endswith("pkl"):
            fault = code.fault_of_pickled(_read(archive, name))
        else:
            continue
        if fault is not None:
            return fault, ""
    return None, "".join(texts)


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a file of code or names, which is not large."""
    if archive.getinfo(name).file_size > _LARGEST:
        raise ValueError(f"{name} is huge")
    return archive.read(name)


def _is_code(name: str) -> bool:
    """Say whether a file of an archive is code."""
    return name.lower().endswith(".py")


def _has(names: list[str], name: str) -> bool:
    """Say whether an archive has a file of that name, below the folder that all of it is in.

    However it is spelt, as torch finds it: there is another format behind `model.json`.
    """
    return any(_within(each) == name for each in names)


def _one(names: list[str], name: str) -> str:
    """Return the whole name of a file that an archive has."""
    return next(each for each in names if _within(each) == name)


def _within(name: str) -> str:
    """Return the name of a file below the folder, in small letters."""
    return name.partition("/")[2].lower()


def _saved_before_zip(path: Path) -> tuple[str | None, bool]:
    """Read torch.save's format of before 1.6: pickles, one after another."""
    with path.open("rb") as file:
        data = file.read(_LARGEST)
    if not data or data.startswith(b"PK"):
        what = "is cut short" if data else "is empty"
        raise SourceError(f"{path} {what}", hint="copy it again, or write it anew")
    if not data.startswith(b"\x80"):
        raise SourceError(f"{path} is no TorchScript file", hint=_WRITE)
    return _globals(data)


def _globals(data: bytes) -> tuple[str | None, bool]:
    """Name the class of the module that pickles hold, None for plain tensors; nothing is loaded.

    The second is whether they can be read to their end.
    """
    named: list[str] = []
    outer: str | None = None
    file = io.BytesIO(data)
    try:
        for _ in range(_PICKLES):
            for count, (opcode, argument, _place) in enumerate(pickletools.genops(file)):
                if opcode.name in {"GLOBAL", "STACK_GLOBAL"}:
                    named.append(str(argument))
                    outer = named[-1] if count == 1 else outer
            if file.tell() == len(data):
                break
    except ValueError:
        if not named:
            return None, False
    own = [name for name in named if not name.startswith(("torch", "collections", "__builtin__"))]
    if any(name.startswith("torch.nn.modules") for name in named):
        return (own or ["torch.nn Module"])[0], True
    alone = outer is not None and outer not in _CONTAINERS and not outer.startswith("torch._")
    return outer if alone else None, True


def _other(path: Path, whole: str | None, readable: bool) -> SourceError:  # noqa: FBT001
    """Return the error of a file that torch.save wrote."""
    if not readable:
        return SourceError(f"cannot read {path}: it is cut short or damaged", hint=_WRITE)
    if whole is None:
        return SourceError(
            f"{path} holds weights and no model",
            hint="say which module they belong to: tritonforge build file.py:factory"
            f" --weights {path}",
        )
    return SourceError(
        f"{path} is a pickled {whole.replace(' ', '.')}, which would run code when it is loaded",
        hint="write a file.py:factory that makes the module and give its state_dict() to --weights,"
        " or save torch.jit.script(module)",
    )
