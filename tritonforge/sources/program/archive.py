"""What an archive of torch.export would run when it is loaded: such an archive is refused unread.

torch unpickles constants that are no tensors (`torch/export/pt2_archive/_package.py`), and hands
the sizes, which are texts, to sympy, which evaluates them as Python (`torch/_export/serde`).
"""

import ast
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tritonforge.errors import SourceError
from tritonforge.sources import zipped

_TENSORS = ("tensor_", "weight_")  # the names of constants and weights that are tensors
_CONFIG = "_config.json"  # the end of the files that list them
_LARGEST = 2**28  # bytes of such a file, which holds names and sizes
_PARTS = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.keyword),
    *(ast.Name, ast.Constant, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context),
)
_CALLED = frozenset({"Symbol", "Integer", "Max", "Min", "Add", "Mul", "Pow", "floor", "ceiling"})


def check(path: Path) -> None:
    """Raise `SourceError` for an archive that could run code, or that is none."""
    try:
        with zipped.opened(path) as archive:
            fault = _fault(archive)
            zipped.check_sums(archive)
    except (zipfile.BadZipFile, EOFError, ValueError, RecursionError, OSError) as error:
        raise SourceError(
            f"{path} is no archive of torch.export: {error}",
            hint="write it with torch.export.save; the weights of a module go to --weights",
        ) from error
    if fault is not None:
        raise SourceError(
            f"{path} holds {fault}, and could run code when it is loaded",
            hint="export the module without objects of its own, or write a file.py:factory",
        )


def _fault(archive: zipfile.ZipFile) -> str | None:
    """Say what an archive holds that would be run, None where nothing is."""
    names = archive.namelist()
    if len(set(names)) != len(names):
        return "two files of one name"
    for entry in archive.infolist():
        name = entry.filename.lower()  # torch finds files however they are spelt
        if not name.endswith(".json"):
            continue
        if entry.file_size > _LARGEST:
            return f"a huge {entry.filename}"
        said = json.loads(archive.read(entry))
        if name.endswith(_CONFIG):
            for kept in _kept(said):
                if not kept.startswith(_TENSORS):
                    return f"the object {kept}"
        for text in _sizes(said):
            if not _is_a_sum(text):
                return f"the size {text[:80]!r}"
    return None


def _kept(document: Any) -> Iterator[str]:
    """Yield the names of the files that a config lists."""
    listed = document.get("config") if isinstance(document, dict) else None
    for each in listed.values() if isinstance(listed, dict) else ():
        yield str(each.get("path_name", "")) if isinstance(each, dict) else ""


def _sizes(document: Any) -> Iterator[str]:
    """Yield every text that says how a size is computed."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "expr_str":
                yield str(value)
            else:
                yield from _sizes(value)
    elif isinstance(document, list):
        for each in document:
            yield from _sizes(each)


def _is_a_sum(text: str) -> bool:
    """Say whether a size is computed of numbers and symbols by functions of torch's and sympy's."""
    from torch.utils._sympy import functions

    try:
        parts = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    known = _CALLED | set(functions.__all__)
    return all(
        isinstance(part, _PARTS)
        and (not isinstance(part, ast.Call) or _name(part.func) in known)
        and (not isinstance(part, ast.Constant) or _is_plain(part.value))
        for part in parts
    )


def _name(called: ast.expr) -> str:
    """Return the name of what is called, empty where it has none."""
    return called.id if isinstance(called, ast.Name) else ""


def _is_plain(value: object) -> bool:
    """Say whether a constant is a number or the name of a symbol."""
    return isinstance(value, int | float) or (isinstance(value, str) and value.isidentifier())
