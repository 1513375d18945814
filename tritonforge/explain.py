"""Turn what an exporter raises into a sentence: the operator, the user's line, the usual rewrite.

The texts that are searched for are those of torch 2.9 to 2.15; one that is not known is quoted.
"""

import re
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
_CONTROL_FLOW = ("data-dependent", "GuardOnDataDependent", "Dynamic control flow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an export failed.

    `kind` is `control-flow`, `operator`, `frozen`, `tuples` or `other`. `where` names the user's
    line. `frozen` is the input (by name or position), the axis and the size of a frozen dimension.
    """

    kind: str
    operator: str | None
    where: str | None
    said: str
    frozen: tuple[str, int, int] | None = None

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
    texts = [str(each) for each in _causes(error)]
    whole = "\n".join([*texts, stack])
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
        where=_where(whole),
        said=said,
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


def _where(text: str) -> str | None:
    """Name the last line of the user's own code that the text mentions."""
    others = ("site-packages", str(Path(__file__).parent))
    own = [
        each for each in _FRAME.finditer(text) if not any(part in each["file"] for part in others)
    ]
    if not own:
        return None
    frame = own[-1]
    code = f" (`{frame['code'].strip()}`)" if frame["code"] else ""
    return f"{Path(frame['file']).name}:{frame['line']}{code}"
