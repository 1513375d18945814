"""Types as ONNX infers them, past operators that it does not know or infers nothing of."""

from collections.abc import Iterator

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TypeProto
from onnx.defs import OpSchema

from tritonforge.graph import contrib
from tritonforge.graph.schemas import MAIN, every_graph
from tritonforge.graph.standins import DEADLY, always, is_told, stand_in

_ANY_OPSET = 17  # of a model without one


def infer(model: ModelProto, **options: bool) -> ModelProto:
    """Infer types as `onnx.shape_inference` does, and raise as it; others stand in for some.

    Raises `ValueError` for a node of which ONNX's code dies, or that it never comes to an end of.
    """
    _check(model)
    opset = max((each.version for each in model.opset_import if not each.domain), default=0)
    if all(is_told(proto, opset) for proto in _every(model.graph)):
        return onnx.shape_inference.infer_shapes(model, **options)
    copy = ModelProto()
    copy.CopyFrom(model)
    for graph in every_graph(copy.graph):
        _declare(graph, opset)
    if not opset:  # those that stand in are of ONNX's own domain
        copy.opset_import.add(version=_ANY_OPSET)
    own: dict[int, NodeProto] = {}
    for index, proto in enumerate(_every(copy.graph)):
        if is_told(proto, opset) and proto.op_type not in DEADLY:
            continue
        given = NodeProto.FromString(proto.SerializeToString())
        if stand_in(proto):
            own[index] = given
    found = onnx.shape_inference.infer_shapes(copy, **options)
    for index, proto in enumerate(_every(found.graph)):
        if index in own:
            proto.CopyFrom(own[index])
    if not opset:
        del found.opset_import[-1]
    return found


def _check(model: ModelProto) -> None:
    """Raise `ValueError` where a node lacks what its operator needs, as ONNX Runtime does.

    And for the letters of an Einsum that are none.
    """
    versions = {each.domain or MAIN: each.version for each in model.opset_import}
    for proto in _every(model.graph):
        if proto.op_type == "Einsum" and not all(each.s.isascii() for each in proto.attribute):
            raise ValueError("the equation of an Einsum is not ASCII")
        if all(proto.input):
            continue
        domain = proto.domain or MAIN
        known = contrib.standard(domain, proto.op_type, versions.get(domain, 0))
        for formal, name in zip(known.inputs if known else (), proto.input, strict=False):
            if not name and formal.option == OpSchema.FormalParameterOption.Single:
                opset = versions.get(domain, 0)
                raise ValueError(f"{proto.op_type} at opset {opset} needs its input {formal.name}")


def _declare(graph: GraphProto, opset: int) -> None:
    """State the types of what some operators give whatever they take; their shapes stay open."""
    stated = {each.name for each in (*graph.value_info, *graph.output)}
    for proto in graph.node:
        if is_told(proto, opset):
            continue
        for name, kind in zip(proto.output, always(proto), strict=False):
            if name and kind and name not in stated:
                tensor = TypeProto.Tensor(elem_type=kind)
                graph.value_info.add(name=name, type=TypeProto(tensor_type=tensor))


def _every(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield the nodes of a graph and of the graphs in it."""
    for each in every_graph(graph):
        yield from each.node
