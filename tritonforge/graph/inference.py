"""Types as ONNX infers them, past operators that it does not know or infers nothing of."""

from collections.abc import Iterator

import onnx
from onnx import GraphProto, ModelProto, NodeProto

from tritonforge.graph import schemas
from tritonforge.graph.schemas import MAIN

# What ONNX Runtime takes in ONNX's own domain at opsets that do not have it: the first output has
# the shape of the first input, and its type or that of the scale (onnxruntime `contrib_defs.cc`).
_OF_ITS_SCALE = {"LayerNormalization", "SimplifiedLayerNormalization"}
_OF_ITS_INPUT = {
    *("Affine", "ImageScaler", "MeanVarianceNormalization", "ParametricSoftplus", "Scale"),
    *("ScaledTanh", "ThresholdedRelu"),
}
_NEVER_TOLD = {"GroupNormalization"}  # ONNX infers nothing of it; it gives what it takes


def infer(model: ModelProto, **options: bool) -> ModelProto:
    """Infer types as `onnx.shape_inference` does, and raise as it; others stand in for some."""
    opset = max((each.version for each in model.opset_import if not each.domain), default=0)
    own = {
        index: NodeProto.FromString(proto.SerializeToString())
        for index, proto in enumerate(_every(model.graph))
        if _needs_a_stand_in(proto, opset)
    }
    if not own:
        return onnx.shape_inference.infer_shapes(model, **options)
    copy = ModelProto()
    copy.CopyFrom(model)
    for index, proto in enumerate(_every(copy.graph)):
        if index in own:
            _stand_in(proto)
    found = onnx.shape_inference.infer_shapes(copy, **options)
    for index, proto in enumerate(_every(found.graph)):
        if index in own:
            proto.CopyFrom(own[index])
    return found


def _needs_a_stand_in(proto: NodeProto, opset: int) -> bool:
    """Say whether ONNX tells nothing of an operator in its own domain."""
    if (proto.domain or MAIN) != MAIN:
        return False
    if proto.op_type in _NEVER_TOLD:
        return True
    named = proto.op_type in _OF_ITS_SCALE | _OF_ITS_INPUT
    return named and schemas.schema(MAIN, proto.op_type, opset) is None


def _stand_in(proto: NodeProto) -> None:
    """Turn a node into one of ONNX whose first output has the same type and shape."""
    if proto.op_type in _OF_ITS_SCALE and len(proto.input) > 1:
        proto.op_type = "Pow"  # is of its base's type, and as large as its exponent
        proto.input[:] = [proto.input[1], proto.input[0]]
    else:
        proto.op_type = "Identity"
        del proto.input[1:]
    del proto.output[1:], proto.attribute[:]


def _every(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield the nodes of a graph and of the graphs in it."""
    for proto in graph.node:
        yield proto
        for inner in schemas.graphs_in(proto):
            yield from _every(inner)
