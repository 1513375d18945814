"""Floats that half floats would spoil: sizes and positions, masks, and fine scales."""

from onnx import TensorProto

from tritonforge.graph.halved.casting import Value
from tritonforge.graph.halved.halving import FLOAT, is_float, is_scaled
from tritonforge.graph.halved.rounded import is_beyond, is_fine
from tritonforge.graph.schemas import MAIN, graphs_in
from tritonforge.graph.typed import Node


def is_exact(node: Node, read: list[Value]) -> bool:
    """Say whether a node computes floats of whole numbers and of a few constants alone.

    Sizes and positions are; half floats would round them. Weights are of more than one dimension.
    """
    if any(graphs_in(node.proto)):
        return False
    if node.domain == MAIN and node.op == "Cast" and not read:
        made = node.scope.get(node.proto.output[0])
        return is_float(made) and node.types.get("T1") != "double"
    few = all(each.exact or (each.weight is not None and _is_few(each.weight)) for each in read)
    return few and any(each.exact for each in read)


def _is_few(weight: TensorProto) -> bool:
    """Say whether a weight is a number or a row of them."""
    return len([size for size in weight.dims if size > 1]) <= 1


def is_wide(node: Node, read: list[Value]) -> bool:
    """Say whether a node that stays in float may give what is beyond half floats.

    A mask is: a product with the lowest of all floats, which as a half float is -inf.
    """
    held = [each.weight for each in read if each.weight is not None and _is_few(each.weight)]
    if node.op == "ConstantOfShape":
        held += [each.t for each in node.proto.attribute if each.t.data_type == FLOAT]
    return any(each.wide for each in read) or any(map(is_beyond, held))


def is_finely_scaled(node: Node, read: list[Value]) -> bool:
    """Say whether a node quantizes by a scale that a half float would not tell well."""
    weights = (each.weight for each in read if each.weight is not None)
    return is_scaled(node) and any(map(is_fine, weights))
