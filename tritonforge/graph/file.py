"""An `.onnx` file on disk: reading, writing, converting, whether it is sound and whole."""

import re
from dataclasses import dataclass
from pathlib import Path

import onnx

from tritonforge.errors import GraphError
from tritonforge.graph.ordering import cycle
from tritonforge.graph.schemas import MAIN, graphs_in, schema

LARGEST_PROTOBUF = 2**31 - 1
# onnx's converter says which line of its own failed before it says why
_ASSERTION = re.compile(r"^.*: Assertion `?'?.*?'? failed: ")
# ONNX Runtime says its own code of the error, and the place and function in its sources.
_CODE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |Exception during initialization: "
    r"|Load model from .*? failed: ?"
)
_BRACKETS = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
_PLACE = re.compile(
    rf"\S+\.(?:cc|h):\d+ (?:[^()]*{_BRACKETS}(?:::<lambda\(\)>)?(?: const)?(?: \[with [^\]]*\])? )?"
)
_UNSORTED = "must be topologically sorted"
_NO_WAY = re.compile(r"No Adapter (From|To) Version \$(\d+) for (\w+)")
_NO_SCHEMA = re.compile(r"has no registered schema.*%lld\.(\w+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a file says it needs: the opset of the default domain, that of `ai.onnx.ml`, the IR."""

    opset: int
    ir: int
    ml_opset: int = 0


def load(path: Path, *, weights: bool = False) -> onnx.ModelProto:
    """Read a file, external weights only on request; raises `GraphError` for a damaged one."""
    try:
        model = onnx.load(path, load_external_data=weights)
    except (OSError, ValueError) as error:
        raise GraphError(f"cannot read {path}: {error}", hint="check the file") from error
    except Exception as error:  # google.protobuf's DecodeError and onnx's own checks
        raise unsound(path, error) from error
    return holding_a_graph(model, path)


def unsound(path: Path, error: Exception) -> GraphError:
    """Make an error of a file that could not be parsed."""
    return GraphError(
        f"{path} is not a sound ONNX file: {first_line(error)}",
        hint="it may be truncated; export or download it again",
    )


def holding_a_graph(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Return the model; raise `GraphError` for bytes that parse without being one."""
    if not model.HasField("graph"):
        raise GraphError(f"{path} is not an ONNX model", hint="it may be empty or truncated")
    if not model.opset_import:
        raise GraphError(
            f"{path} does not say of which opset it is",
            hint="export it again, or put the opset_import in that it was written with",
        )
    return model


def stamp_of(model: onnx.ModelProto) -> Stamp:
    """Return what a model states; opset 1 where it states none, 0 of `ai.onnx.ml`."""
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    return Stamp(
        opset=opsets.get("ai.onnx", 1), ir=model.ir_version, ml_opset=opsets.get("ai.onnx.ml", 0)
    )


def converted(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return the model at another opset by onnx's converter; raises `GraphError` if it cannot."""
    from onnx import version_converter

    try:
        return _without_newer_attributes(version_converter.convert_version(model, opset), opset)
    except Exception as error:  # the converter raises RuntimeError, ConvertError and more
        raise GraphError(
            f"onnx cannot convert from opset {stamp_of(model).opset} to {opset}:"
            f" {_why(error, model, opset)}",
            hint="choose a newer --target, or export the model again at that opset",
        ) from error


def _without_newer_attributes(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Take attributes out that an older operator lacks and that say what it does anyway.

    The converter leaves them in. Raises `ValueError` for one that says something else.
    """
    nodes = [*model.graph.node]
    while nodes:
        node = nodes.pop()
        nodes += [inner for graph in graphs_in(node) for inner in graph.node]
        older = schema(MAIN, node.op_type, opset) if not node.domain else None
        if older is None:
            continue
        for attribute in [each for each in node.attribute if each.name not in older.attributes]:
            newest = onnx.defs.get_schema(node.op_type).attributes.get(attribute.name)
            if newest is None or newest.default_value != attribute:
                raise ValueError(f"{node.op_type} has no {attribute.name} at opset {opset}")
            node.attribute.remove(attribute)
    return model


def _why(error: Exception, model: onnx.ModelProto, opset: int) -> str:
    """Say in a sentence what stops onnx's converter, which fills in no blanks of its own."""
    said = first_line(error)
    versions = f"{stamp_of(model).opset}{opset}"
    if found := _NO_WAY.search(said):
        return f"it knows no way {found[1].lower()} version {found[2]} of {found[3]}"
    if found := _NO_SCHEMA.search(said):
        return f"it does not know {found[1].removesuffix(versions)}"
    return said.removeprefix("Warning: ")


def check(path: Path) -> None:
    """Run the ONNX checker over a file; raises `GraphError`."""
    try:
        onnx.checker.check_model(path)
    except Exception as error:  # ValidationError, and ValueError for protobuf limits
        if _UNSORTED in str(error) and (found := cycle(load(path).graph)):
            raise GraphError(
                f"{path.name} has a cycle, which cannot be run: {' → '.join(found)}",
                hint="take the edge out that leads back, or export it again",
            ) from error
        raise GraphError(
            f"{path.name} fails the ONNX checker: {first_line(error)}",
            hint="export it again with another --exporter or --opset",
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error that says something, without where in what sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    for noise in (_ASSERTION, _CODE, _PLACE):
        first = noise.sub("", first)
    return first[:400] or str(error).strip()[:400]
