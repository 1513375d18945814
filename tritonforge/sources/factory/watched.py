"""Which files a user's code reads: what it imports, what it opens, and what it looks for.

Python tells every file that it opens to its audit hooks (PEP 578), and `native` has the loaders of
models tell of theirs. What a module reads while it is imported, or keeps once it has read it, is
not read again for a second model in the same process: it is remembered for each module.
"""

import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from tritonforge.sources.factory import native
from tritonforge.sources.installed import OURS, is_in_a_library, is_the_users

_PROGRAMS = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn", "os.exec"})
_READS = frozenset({"open", "ctypes.dlopen", "sqlite3.connect"})
_LISTS = frozenset({"os.listdir", "os.scandir"})
_HEARD = _PROGRAMS | _READS | _LISTS | {native.ASKED}


@dataclass(slots=True, kw_only=True)
class Reads:
    """The files that were read, and why that may not be all of them: None where it is.

    Both are filled when the watch ends.
    """

    paths: set[Path] = field(default_factory=set)
    unseen: str | None = None


_watching: list[set[str]] = []
_read_by: dict[str, set[str]] = {}  # what was read by the code of a file, or while it was imported
_starts_programs: set[str] = set()
_before: set[str] = set()  # the modules that were loaded when nobody watched
_asked: set[str] = set()  # what a user's own code looked for, which may not be there
_hearing = threading.local()
_alone: set[str] = set()  # modules that no other can import, since their name is made up


@contextmanager
def opened(own: Path | None) -> Iterator[Reads]:
    """Collect the files that are read meanwhile, and the user's modules that are loaded then.

    `own` is the file of the source, which is always among them.
    """
    if not _before:
        _before.update(sys.modules)
        sys.addaudithook(_hear)  # which cannot be taken off again
    native.tell()
    names: set[str] = set()
    found = Reads()
    _watching.append(names)
    try:
        with native.asking():
            yield found
    finally:
        _watching.remove(names)
        files = set(_loaded(own))
        remembered = {name for file in files for name in _read_by.get(file, ())}
        # Tracebacks read the source of whoever imports a library first.
        names.update(files, remembered - (_own_files() - files))
        names.discard(_started_with())
        kept = {_source(name) for name in names if _counts(name)}
        found.paths.update(kept, () if own is None else (own,))
        found.unseen = _unseen(files)


def alone(name: str) -> None:
    """Say that a module is of one source alone, since its name is made up."""
    _alone.add(name)


def was_before(name: str) -> bool:
    """Say whether a module was loaded before anybody watched what it reads."""
    return name in _before


def _loaded(own: Path | None) -> Iterator[str]:
    """Yield the files of all modules but those that other sources have for themselves."""
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None)
        if name == "__main__" or not isinstance(file, str):
            continue
        if name not in _alone or file == str(own):
            yield file


def _own_files() -> set[str]:
    """Return the files of the modules that are of one source alone."""
    modules = (sys.modules.get(name) for name in _alone)
    return {str(getattr(module, "__file__", "")) for module in modules}


def _started_with() -> str:
    """Return the file of the program itself, which a traceback reads: it is no part of a model."""
    return str(Path(getattr(sys.modules["__main__"], "__file__", None) or "").absolute())


def _unseen(files: set[str]) -> str | None:
    """Say why the watch may have missed a file, None where it has not."""
    if (library := native.silent()) is not None:
        return f"{library} may read files, and nobody sees which"
    if started := files & _starts_programs:
        return f"{Path(min(started)).name} starts a program, and nobody sees what that reads"
    return None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Note a file that is opened for reading or looked for, and a program that is started."""
    if not _watching or event not in _HEARD or getattr(_hearing, "busy", False):
        return
    _hearing.busy = True  # whatever is looked up here may open files, and would be heard again
    try:
        _note(event, arguments, sys._getframe(1))  # noqa: SLF001 - no other way
    finally:
        _hearing.busy = False


def _note(event: str, arguments: tuple[Any, ...], frame: FrameType) -> None:
    """Note what was heard of the code that runs in `frame`."""
    if event in _PROGRAMS:
        _starts_programs.update(_directly(frame))
        return
    path = arguments[0] if arguments[0] is not None else "."  # os.listdir()
    if not isinstance(path, str | bytes | os.PathLike) or (event == "open" and _writes(*arguments)):
        return
    owners = set(_owners(frame))
    asks = any(map(_is_code, owners)) if event in _READS else _asks(frame)
    if event not in _READS and not asks:
        return
    name = str(Path(os.fsdecode(path)).absolute()) + (os.sep if event in _LISTS else "")
    if asks:
        _asked.add(name)
    for names in _watching:
        names.add(name)
    for owner in owners:
        _read_by.setdefault(owner, set()).add(name)


def _writes(_: Any, mode: Any, flags: Any) -> bool:
    """Say whether a file is opened for anything but reading."""
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
    return bool(writes) or (isinstance(mode, str) and bool(set(mode) & set("wax+")))


def _owners(frame: FrameType | None) -> Iterator[str]:
    """Yield the files whose code may keep what is read: the user's, and those being imported.

    Whoever calls us is none of them.
    """
    while frame is not None and frame.f_code.co_filename == native.__file__:  # the one that tells
        frame = frame.f_back
    while frame is not None and not frame.f_code.co_filename.startswith(OURS):
        code = frame.f_code
        if code.co_name == "<module>" or _is_code(code.co_filename):
            yield code.co_filename
        frame = frame.f_back


def _asks(frame: FrameType | None) -> bool:
    """Say whether the user's own code is what looks, by itself or by Python's own functions."""
    while frame is not None and _is_pythons(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None and _is_code(frame.f_code.co_filename)


@lru_cache(maxsize=65536)
def _is_pythons(name: str) -> bool:
    """Say whether code is of Python itself, or ours that tells; an import looks for itself."""
    if name.startswith("<frozen"):
        return "importlib" not in name
    return name == native.__file__ or (
        name.startswith(_STANDARD) and "-packages" not in name and f"{os.sep}importlib" not in name
    )


def _directly(frame: FrameType | None) -> Iterator[str]:
    """Yield the user's file that calls Python itself; what a library calls, it answers for."""
    while frame is not None and frame.f_code.co_filename.startswith((_PYTHON, "<frozen")):
        frame = frame.f_back
    if frame is not None and _is_code(frame.f_code.co_filename):
        yield frame.f_code.co_filename


_STANDARD = str(Path(os.__file__).parent) + os.sep
_PYTHON = _STANDARD + "subprocess"


@lru_cache(maxsize=65536)
def _is_code(name: str) -> bool:
    """Say whether code is the user's, by the name of its file: to look further would read files."""
    return name.startswith(os.sep) and not is_in_a_library(name)


def _source(name: str) -> Path:
    """Return the file that a person edits: a module's source, not what Python made of it."""
    path = Path(name).absolute()
    if path.suffix == ".pyc":
        with suppress(ValueError):  # not in a cache of Python's
            return Path(importlib.util.source_from_cache(path))
    return path


@lru_cache(maxsize=65536)
def _is_a_librarys(name: str) -> bool:
    """Say whether a whole path is of a library, as those of thousands of modules are each time."""
    return name.startswith(os.sep) and not is_the_users(str(_source(name)))


def _counts(name: str) -> bool:
    """Say whether what was heard decides what is built: a file, a list, or that none is there."""
    if _is_a_librarys(name):
        return False
    path = _source(name)
    if not is_the_users(str(path)):
        return False
    with suppress(OSError):
        if name.endswith(os.sep):
            return path.is_dir()
        return path.is_file() or (name in _asked and not path.exists())
    return False
