"""What of a node can be half floats: inputs and outputs, by the types that its schema allows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto, TypeProto

from tritonforge.graph import contrib
from tritonforge.graph.schemas import MAIN, attributes, graphs_in
from tritonforge.graph.typed import Node, type_of

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
_FLOWS = {"If", "Loop", "Scan"}  # whose inputs and outputs are whatever their graphs make of them
_QUANTIZE = {"QuantizeLinear", "DequantizeLinear"}
_TREES = "ai.onnx.ml"  # whose operators hold floats in attributes
# Of two the output's type stands in a tensor in an attribute; one reads bits; the body of the last,
# which ONNX Runtime runs in its place, has floats in it.
_BOUND = {"Constant", "ConstantOfShape", "BitCast", "MeanVarianceNormalization"}
_TYPED = {"dtype", "output_datatype"}
_SCALES_OF_HALVES = 19  # the opset from which those of Q and DQ may be half floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The element type of each input and output, None for what is no tensor of floats."""

    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]


def ports(node: Node, *, stays: bool) -> Ports:
    """Return what a node can take and give; `stays` leaves it in float whatever it could."""
    proto, known = node.proto, node.schema or contrib.newest(node.domain, node.op)
    if node.domain == MAIN and node.op in _FLOWS:
        given, made = [not stays] * len(proto.input), [not stays] * len(proto.output)
    elif stays or known is None or _is_bound_to_float(node, known):
        given, made = [False] * len(proto.input), [False] * len(proto.output)
    else:
        given = _takes_halves(known.inputs, len(proto.input))
        made = _takes_halves(known.outputs, len(proto.output))
    return Ports(
        inputs=tuple(_element(node, *each) for each in zip(proto.input, given, strict=True)),
        outputs=tuple(_element(node, *each) for each in zip(proto.output, made, strict=True)),
    )


def is_flow(node: Node) -> bool:
    """Say whether the graphs in a node take and give what the node does."""
    return node.domain == MAIN and node.op in _FLOWS


def is_scaled(node: Node) -> bool:
    """Say whether a node quantizes or dequantizes, by a scale that is its second input."""
    return node.domain == MAIN and node.op in _QUANTIZE


def wants_wide_scales(node: Node) -> bool:
    """Say whether it does so at an opset at which only floats are its scales."""
    return is_scaled(node) and node.opset < _SCALES_OF_HALVES


def is_float(known: TypeProto | None) -> bool:
    """Say whether a value is a tensor of floats."""
    return known is not None and bool(known.tensor_type.elem_type == FLOAT)


def untyped(node: Node) -> Iterator[str]:
    """Yield the outputs of a node of which nothing tells the type."""
    for name in node.proto.output:
        if name and (name not in node.scope or type_of(node.scope[name]) is None):
            yield name


def _element(node: Node, name: str, half: bool) -> int | None:  # noqa: FBT001 - one of a pair
    return (HALF if half else FLOAT) if name and is_float(node.scope.get(name)) else None


def _is_bound_to_float(node: Node, known: Any) -> bool:
    """Say whether something besides the inputs makes its outputs floats.

    That is an attribute, the elements of a sequence, or a graph within that is no branch or body;
    or that ONNX Runtime fails otherwise.
    """
    if node.op in _BOUND or node.domain == _TREES or not _TYPED.isdisjoint(known.attributes):
        return True
    # ONNX Runtime's CPU takes halves to scatter, and then fails where they are to be combined.
    combined = attributes(node.proto).get("reduction", b"none") != b"none"
    if any(graphs_in(node.proto)) or (node.op.startswith("Scatter") and combined):
        return True
    names = (*node.proto.input, *node.proto.output)
    kinds = (node.scope[name].WhichOneof("value") for name in names if name in node.scope)
    return any(kind != "tensor_type" for kind in kinds)


def _takes_halves(formals: Sequence[Any], count: int) -> list[bool]:
    """Say of each input or output whether its schema allows half floats."""
    if not formals:
        return [False] * count
    chosen = (formals[min(index, len(formals) - 1)] for index in range(count))
    return ["tensor(float16)" in each.types for each in chosen]
