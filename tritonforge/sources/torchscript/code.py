"""What the code in a TorchScript archive may do: it is run when the archive is loaded, and after.

Defaults of arguments, constants of classes and `__setstate__` are computed by `torch.jit.load`
itself. The language has no files of its own, but operators that write and map them, and C++
classes that load libraries: they are looked for before torch reads anything. Names are followed
through no alias, so that what they hide in is refused where it stands alone.
"""

import ast
import re
from collections.abc import Iterator

_FILES = frozenset({"save", "from_file", "load_tensor"})
_REMOTE = frozenset({"rpc_async", "rpc_sync", "rpc_remote"})
# Of operators and of C++ classes: those that torch itself and torchvision bring and that compute.
_OPERATORS = frozenset({"aten", "prim", "prims", "profiler", "quantized", "torchvision"})
_CLASSES = frozenset({"profiler", "quantized", "rnn", "sparse", "xnnpack"})
_ROOTS = frozenset({"torch", "ops", "__torch__"})
_WRITTEN = re.compile(
    r"[\n -~]*"
)  # what torch writes; its parser may read other characters its way
_PICKLED_CLASS = re.compile(rb"__torch__\.torch\.classes\.([\w.]*)")


def fault_of(text: str) -> str | None:
    """Say what a file of code does that a model must not, None where it only computes."""
    if not _WRITTEN.fullmatch(text):
        return "code that torch did not write"
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return "code that cannot be read"
    return next(filter(None, map(_fault, _paths(tree))), None)


def fault_of_pickled(data: bytes) -> str | None:
    """Say which C++ class an archive holds an object of that could do more than compute."""
    for found in _PICKLED_CLASS.finditer(data):
        name = found[1].decode("ascii", "replace")
        if name.partition(".")[0] not in _CLASSES:
            return f"an object of the C++ class {name}"
    return None


def _fault(parts: tuple[str, ...]) -> str | None:
    """Say what is wrong with a dotted name, None where nothing is."""
    path = ".".join(parts)
    if len(parts) == 1:
        return f"code with a bare {path!r}" if path in _ROOTS else _remote(path)
    if _FILES & {*parts[1:]}:
        return f"code that calls {path.lstrip('.')}, which touches files"
    if parts[0] == "ops" and (len(parts) < 3 or parts[1] not in _OPERATORS):
        return f"code that calls {path}, an operator that torch does not bring"
    if parts == ("__torch__", "torch"):
        return f"code with a bare {path!r}"
    if parts[:3] == ("__torch__", "torch", "classes") and {*parts[3:4]}.isdisjoint(_CLASSES):
        return f"code with the C++ class {path}"
    return None


def _remote(name: str) -> str | None:
    """Say so where a name calls another machine."""
    return f"code that calls {name}, another machine" if name in _REMOTE else None


def _paths(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Yield every dotted name as a whole; one that begins with a value begins with nothing."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            yield (node.id, *reversed(parts))
            continue
        if parts:
            yield ("", *reversed(parts))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "getattr":
            names = [each.value for each in node.args[1:] if isinstance(each, ast.Constant)]
            yield ("", *map(str, names))
        waiting.extend(ast.iter_child_nodes(node))
