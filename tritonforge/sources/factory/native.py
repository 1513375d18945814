"""Files that native code opens by itself: its loaders are made to tell Python's audit of them.

C++ and Rust open files without Python (PEP 578 knows nothing of it). What torch and safetensors
load models with says so here, as `open` would; of the libraries below nobody can tell.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec
from typing import Any

# They read data with their own code, by names that Python does not see.
_SILENT = frozenset(
    {
        *("cv2", "faiss", "gguf", "h5py", "lmdb", "netCDF4", "polars", "pyarrow", "sentencepiece"),
        *("tables", "tensorflow"),
    }
)
ASKED = "tritonforge.asked"  # the event of Python's audit
_told: list[bool] = []
_missing: list[str] = []


def tell() -> None:
    """Have the loaders of torch and of safetensors tell which file they open, from now on.

    They are no public interface: where one has gone, `silent` names it, and nothing is trusted.
    """
    if _told:
        return
    import torch

    _told.append(True)
    reader = getattr(torch._C, "PyTorchFileReader", None)  # noqa: SLF001
    for owner, name in (
        (torch._C, "import_ir_module"),  # noqa: SLF001 - torch.jit.load
        (reader, "__init__"),  # torch.package and torch.export
    ):
        load = getattr(owner, name, None)
        if owner is None or load is None:
            _missing.append("torch")
        else:
            setattr(owner, name, _telling(load))
    if find_spec("safetensors") is not None:
        import safetensors

        opener = getattr(safetensors, "safe_open", None)
        if isinstance(opener, type):
            # The type itself, since others hold it under names of their own; it has no `__init__`.
            opener.__init__ = _told_of  # type: ignore[misc]
        else:
            _missing.append("safetensors")


@contextmanager
def asking() -> Iterator[None]:
    """Have `os.stat` tell, too: it opens nothing, but code does this or that by what is there."""
    plain = os.stat

    @wraps(plain)
    def telling(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if isinstance(path, str | bytes | os.PathLike):
            sys.audit(ASKED, os.fspath(path))
        return plain(path, *arguments, **options)

    for able in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
        if plain in able:
            able.add(telling)
    os.stat = telling
    try:
        yield
    finally:
        os.stat = plain


def silent() -> str | None:
    """Name a loaded library that reads files unseen, None where there is none."""
    return min({*_missing, *(_SILENT & sys.modules.keys())}, default=None)


def _telling(load: Any) -> Any:
    """Wrap a loader whose second argument is a path, or something that is open already."""

    @wraps(load)
    def telling(*arguments: Any, **options: Any) -> Any:
        for path in (*arguments[1:2], *options.values()):
            _tell(path)
        return load(*arguments, **options)

    return telling


def _told_of(_: Any, filename: Any, *_arguments: Any, **_options: Any) -> None:
    """Tell of a file that safetensors has opened."""
    _tell(filename)


def _tell(path: Any) -> None:
    """Tell Python's audit of a file that is opened for reading."""
    if isinstance(path, str | bytes | os.PathLike):
        sys.audit("open", os.fspath(path), "rb", os.O_RDONLY)
