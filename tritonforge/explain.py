"""Turn what an exporter raises into a sentence: the operator, the user's line, the usual rewrite.

The texts that are searched for are those of torch 2.9 to 2.15; one that is not known is quoted.
"""

import os
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FRAME = re.compile(
    r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)(?:\n\s+(?P<code>.+))?'
)
_OPERATOR = re.compile(r"(?:op='|operator '?)(aten[.:]+\w+|[a-z_]\w*[.:]+\w+)'?")
_STATIC = re.compile(
    r"inferred a static shape of (?P<size>\d+) for dimension "
    r"inputs\['?(?P<input>\w+)'?\]\.shape\[(?P<axis>\d+)\]"
)
_PACKAGES = "site-packages/"
# Who exports or computes what is not theirs.
_OTHERS = (
    "torch/",
    "onnx",
    "functorch/",
    "mpmath/",
    "numpy/",
    "sympy/",
    "transformers/exporters/",
    "typing_extensions.py",
)
_OURS = str(Path(__file__).parent)  # in a folder of packages, too
_STANDARD = str(Path(os.__file__).parent)
_CONTROL_FLOW = ("data-dependent", "GuardOnDataDependent", "Dynamic control flow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an export failed.

    `kind` is `control-flow`, `operator`, `frozen`, `tuples` or `other`. `where` names the user's
    line, else that of the library whose model it is, which `library` names then. `frozen` is the
    input (by name or position), the axis and the size of a frozen dimension.
    """

    kind: str
    operator: str | None
    where: str | None
    said: str
    frozen: tuple[str, int, int] | None = None
    library: str | None = None

    @property
    def sentence(self) -> str:
        """Say what happened and where."""
        at = f" at {self.where}" if self.where else ""
        if self.kind == "operator":
            return f"the exporter has no ONNX form for the operator {self.operator}{at}"
        if self.kind == "control-flow":
            return f"the model decides by the values of a tensor{at}, which an export cannot follow"
        if self.kind == "frozen":
            return f"the model fixes a dimension that should be dynamic: {self.said}{at}"
        if self.kind == "tuples":
            return f"the model keeps tuples in a list or dict{at}, which ONNX has no form for"
        return f"the export failed{at}: {self.said}"

    @property
    def hint(self) -> str:
        """Say what usually helps."""
        if self.library is not None and self.kind in {"operator", "control-flow"}:
            return (
                f"that line is of {self.library}: a newer version may be written otherwise; else"
                " try another class or task of the model, or wrap the part that is needed in a"
                " file.py:factory"
            )
        return {
            "operator": "rewrite that line with plain tensor operators, move it into the client, "
            "or try another --opset or --exporter",
            "control-flow": "replace the `if` by torch.where or torch.cond, or script the model "
            "with torch.jit.script, which keeps both branches",
            "frozen": "compute sizes from x.shape instead of fixed numbers, or give --input with "
            "a number for that dimension",
            "tuples": "keep and return tensors alone in lists and dicts",
            "other": "try --exporter torchscript or another --opset",
        }[self.kind]


def failure(error: BaseException, stack: str = "") -> Failure:
    """Read an exporter's exception and its causes; `stack` is what is known of the user's code."""
    causes = [*_causes(error)]
    texts = [str(each) for each in causes]
    whole = "\n".join([*texts, stack])
    where, library = _where(whole, *map(_frames, reversed(causes)))
    operator = _OPERATOR.search(whole)
    said = _said(error)
    static = _STATIC.search(whole)
    if any(mark in whole for mark in _CONTROL_FLOW) and "No ONNX function" not in whole:
        kind = "control-flow"
    elif static is not None:
        kind, said = "frozen", static[0].removeprefix("inferred ")
    elif operator is not None and re.search(r"No ONNX function|not supported|Unsupported", whole):
        kind = "operator"
    elif "lower all tuples" in whole:
        kind = "tuples"
    else:
        kind = "other"
    return Failure(
        kind=kind,
        operator=operator[1].replace("::", ".") if operator else None,
        where=where,
        said=said,
        library=library,
        frozen=(static["input"], int(static["axis"]), int(static["size"])) if static else None,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an exception to what caused it; `raise … from` can close a circle."""
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _said(error: BaseException) -> str:
    """Return the first line of the innermost cause."""
    *_, innermost = _causes(error)
    lines = [line.strip() for line in str(innermost).splitlines() if line.strip()]
    if lines and "TorchScript interpreter" in lines[0]:  # its reason comes last, by its own name
        return lines[-1].removeprefix("builtins.")[:300]
    return f"{type(innermost).__name__}: {lines[0] if lines else 'no reason given'}"[:300]


def _frames(error: BaseException) -> str:
    """Return where an exception was raised, as a traceback has it."""
    return "".join(traceback.format_tb(error.__traceback__))


def _where(*texts: str) -> tuple[str | None, str | None]:
    """Name the last line of the user's own code that the texts mention, in the order given.

    Where they mention none, it is that of the library that the model is from, named too.
    """
    frames = [[*_FRAME.finditer(text)] for text in texts]
    for found in frames:
        own = [each for each in found if _is_own(each["file"])]
        if own:
            return _line(own[-1]), None
    for found in frames:
        theirs = [(each, _package(each["file"])) for each in found]
        named = [(each, package) for each, package in theirs if package is not None]
        if named:
            return _line(named[-1][0]), named[-1][1]
    return None, None


def _is_own(file: str) -> bool:
    """Say whether a file is the user's: none of a package, of Python or of ours."""
    others = (_PACKAGES, _OURS, _STANDARD, "<")
    return not any(part in file for part in others)


def _package(file: str) -> str | None:
    """Name the library that a file is of, None where it is no library that makes models."""
    _, found, inside = file.partition(_PACKAGES)
    makes = found and not inside.startswith(_OTHERS) and not file.startswith(_OURS)
    return inside.split("/")[0] if makes else None


def _line(frame: re.Match[str]) -> str:
    """Name a line by its file and what it says."""
    code = f" (`{frame['code'].strip()}`)" if frame["code"] else ""
    return f"{Path(frame['file']).name}:{frame['line']}{code}"
