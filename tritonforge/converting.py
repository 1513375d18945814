"""A file brought to another opset by onnx's converter, newer operators written out where needed."""

from collections.abc import Iterable
from typing import Any

from tritonforge import graph, placement
from tritonforge.errors import GraphError
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import Node, UnsoundError
from tritonforge.spec import ModelSpec


def first_of(model: Any, wanted: Iterable[int], spec: ModelSpec) -> tuple[Any, int]:
    """Return the model at the first opset that it can be converted to; raises `GraphError`."""
    troubles = []
    for opset in wanted:
        try:
            return converted(model, opset, spec), opset
        except GraphError as error:
            troubles.append(error)
    raise troubles[0]


def converted(model: Any, opset: int, spec: ModelSpec) -> Any:
    """Return a model at another opset; raises `GraphError` that names what is in the way.

    Where the converter knows no way down, newer operators are written out as others first.
    """
    stamp = graph.stamp_of(model)
    if stamp.opset == opset:
        return model
    try:
        return graph.converted(model, opset)
    except GraphError as error:
        trouble = error

    def is_newer(node: Node) -> bool:
        return node.domain == MAIN and node.since > opset

    try:
        if opset < stamp.opset:
            return graph.converted(placement.expanded(model, is_newer), opset)
    except (GraphError, UnsoundError):
        pass  # the first trouble names the operator that the model is written with
    hint = trouble.hint
    if spec.opset is not None and stamp.opset <= spec.target.opset:
        hint = f"leave --opset out: release {spec.target.tag} takes opset {stamp.opset}"
    raise GraphError(f"{trouble.message}{_in_the_way(model, opset)}", hint=hint) from trouble


def _in_the_way(model: Any, opset: int) -> str:
    """Name the operators that are newer than an opset and cannot be written out."""
    read = placement.read(model)
    nodes = () if read.resolved is None else read.resolved.nodes
    newer = {node.op for node in nodes if node.domain == MAIN and node.since > opset}
    return f" (newer than opset {opset}: {', '.join(sorted(newer))})" if newer else ""
