"""Files that native code opens by itself: its loaders are made to tell Python's audit of them.

C++ and Rust open files without Python (PEP 578 knows nothing of it). What torch and safetensors
load models with says so here, as `open` would; of the libraries below nobody can tell.
"""

import os
import sys
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
_told: list[bool] = []


def tell() -> None:
    """Have the loaders of torch and of safetensors tell which file they open, from now on."""
    if _told:
        return
    import torch

    _told.append(True)
    torch._C.import_ir_module = _telling(torch._C.import_ir_module)  # noqa: SLF001 - jit.load
    reader = torch._C.PyTorchFileReader  # noqa: SLF001 - torch.package and torch.export
    reader.__init__ = _telling(reader.__init__)  # type: ignore[method-assign]
    if find_spec("safetensors") is not None:
        from safetensors import safe_open

        # The type itself, since others hold it under names of their own; it has no `__init__`.
        safe_open.__init__ = _told_of  # type: ignore[assignment,method-assign]


def silent() -> str | None:
    """Name a loaded library that reads files unseen, None where there is none."""
    return min(_SILENT & sys.modules.keys(), default=None)


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
