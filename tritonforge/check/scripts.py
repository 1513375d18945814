"""What a model.py of the Python backend says, parsed and never run."""

import ast
import sys
import warnings
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from tritonforge.rules import Script

CLASS, _RUNS = "TritonPythonModel", "execute"
_PYTHON = sys.version_info[:2]
_MOST_BYTES = 1 << 18  # that a person writes; of more Python's own parser takes a GiB
_DYNAMIC = {"__getattr__", "__import__", "exec", "globals", "import_module", "setattr", "vars"}


def script(path: Path) -> Script | None:
    """Parse a file; None where nothing is known of it."""
    if path.suffix != ".py" or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            held = file.read(_MOST_BYTES + 1)
    except OSError:
        return None
    return None if len(held) > _MOST_BYTES else parsed(held)


def parsed(text: bytes) -> Script | None:
    """Say what a text is to Python's backend; None where it is too deep to be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in strings, which are the author's matter
            tree = ast.parse(text)
    except SyntaxError as error:
        line = f" in line {error.lineno}" if error.lineno else ""
        return Script(python=_PYTHON, broken=f"{_shortened(error.msg)}{line}")
    except ValueError as error:  # a NUL in it
        return Script(python=_PYTHON, broken=_shortened(str(error)))
    except (RecursionError, MemoryError):
        return None
    names = {name for each in ast.walk(tree) for name in _names(each)}
    return Script(
        python=_PYTHON,
        may_have_class=_may_bind(CLASS, names),
        runs_nothing=not _may_bind(_RUNS, names) and any(map(_is_whole, tree.body)),
    )


def _may_bind(name: str, names: AbstractSet[str]) -> bool:
    """Say whether a text of these names makes what has a name, or may do so in a way of its own."""
    return name in names or "*" in names or bool(names & _DYNAMIC)


def _is_whole(node: ast.AST) -> bool:
    """Say whether a part of a text is the model's class, with nothing that comes from elsewhere."""
    return (
        isinstance(node, ast.ClassDef)
        and node.name == CLASS
        and not (node.bases or node.keywords or node.decorator_list)
    )


def _names(node: ast.AST) -> Iterator[str]:
    """Yield what a part of a text names: what it defines, assigns, imports or says."""
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            yield name
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name
        case ast.Constant(value=str(text)):
            yield text


def _shortened(said: str) -> str:
    """Return what a parser says, within a line."""
    return " ".join(said.split())[:120]
