"""Operators that stand in for those of which ONNX infers nothing, while types are inferred."""

from collections.abc import Iterator, Sequence
from typing import Any

from onnx import NodeProto, TensorProto, helper

from tritonforge.graph import contrib, schemas
from tritonforge.graph.schemas import MAIN

# What ONNX Runtime takes in ONNX's own domain at opsets that do not have it: the first output has
# the shape of the first input, and its type or that of the scale (onnxruntime `contrib_defs.cc`).
_OF_ITS_SCALE = {"LayerNormalization", "SimplifiedLayerNormalization"}
_OF_ITS_INPUT = {
    *("Affine", "ImageScaler", "MeanVarianceNormalization", "ParametricSoftplus", "Scale"),
    *("ScaledTanh", "ThresholdedRelu"),
}
# Of ONNX's operators for trees and tables: ONNX infers nothing of them, ONNX Runtime does.
_ML = "ai.onnx.ml"
_FLOATS_OF_ITS_SHAPE = {"Normalizer", "Scaler"}
_FLOATS = {"FeatureVectorizer", "LinearRegressor", "SVMRegressor", "TreeEnsembleRegressor"}
_LABELS = {  # what a LabelEncoder gives, by its attribute
    "values_floats": TensorProto.FLOAT,
    "values_int64s": TensorProto.INT64,
    "values_strings": TensorProto.STRING,
}
_NEVER_TOLD = {"GroupNormalization"}  # ONNX infers nothing of it; it gives what it takes
# ONNX's own code dies of these where the input's type is not known, as behind what it cannot infer.
DEADLY = {"EyeLike", "RegexFullMatch"}
_NUMBERS = {
    **{f"tensor({name.lower()})": number for name, number in TensorProto.DataType.items()},
    "tensor(double)": TensorProto.DOUBLE,
}


def is_told(proto: NodeProto, opset: int) -> bool:
    """Say whether ONNX infers what a node gives, so that nothing need stand in for it."""
    if (proto.domain or MAIN) != MAIN:
        return False
    if proto.op_type in _NEVER_TOLD:
        return False
    named = proto.op_type in _OF_ITS_SCALE | _OF_ITS_INPUT
    return not named or schemas.schema(MAIN, proto.op_type, opset) is not None


def always(proto: NodeProto) -> Iterator[int | None]:
    """Yield the element types of a node's outputs, None where they depend on its inputs."""
    if proto.domain == _ML and proto.op_type in _FLOATS:
        yield TensorProto.FLOAT
    elif proto.domain == _ML and proto.op_type == "TreeEnsembleClassifier":
        texts = any(each.name == "classlabels_strings" and each.strings for each in proto.attribute)
        yield TensorProto.STRING if texts else TensorProto.INT64
        yield TensorProto.FLOAT
    elif (known := contrib.newest(proto.domain, proto.op_type)) is not None:
        for formal in known.outputs:
            only = next(iter(formal.types)) if len(formal.types) == 1 else ""
            yield _NUMBERS.get(only)


def stand_in(proto: NodeProto) -> bool:
    """Turn a node into one of ONNX whose first output has its type, and its shape where known.

    False where none is known that does.
    """
    if proto.domain == _ML:
        return _of_tables(proto)
    if (proto.domain or MAIN) != MAIN:
        return _of_its_own(proto)
    if proto.op_type in _OF_ITS_SCALE and len(proto.input) > 1:
        # is of its base's type, and as large as its exponent
        return _become(proto, "Pow", [proto.input[1], proto.input[0]])
    if proto.op_type in DEADLY:
        given = [each.i for each in proto.attribute if each.name == "dtype"]
        kind = TensorProto.BOOL if proto.op_type == "RegexFullMatch" else next(iter(given), None)
        if kind is not None:
            return _become(proto, "Cast", proto.input[:1], to=kind)
    if proto.op_type in _OF_ITS_SCALE | _OF_ITS_INPUT | _NEVER_TOLD | DEADLY:
        return _become(proto, "Identity", proto.input[:1])
    return False


def _of_tables(proto: NodeProto) -> bool:
    """Stand in for operators of tables; a LabelEncoder of unknown input would crash ONNX."""
    if proto.op_type in _FLOATS_OF_ITS_SHAPE:
        return _become(proto, "Cast", proto.input[:1], to=TensorProto.FLOAT)
    if proto.op_type == "Imputer":
        return _become(proto, "Identity", proto.input[:1])
    if proto.op_type == "LabelEncoder":
        given = (each.t.data_type for each in proto.attribute if each.name == "values_tensor")
        named = (_LABELS[each.name] for each in proto.attribute if each.name in _LABELS)
        # The first version says neither: texts become numbers, and numbers texts.
        kind = next(given, None) or next(named, None)
        return kind is not None and _become(proto, "Cast", proto.input[:1], to=kind)
    return False


def _of_its_own(proto: NodeProto) -> bool:
    """Stand in for an operator of ONNX Runtime's that gives the type of one of its inputs."""
    known = contrib.newest(proto.domain, proto.op_type)
    if known is None or not known.outputs or len(known.outputs[0].types) == 1:
        return False
    for formal, name in zip(known.inputs, proto.input, strict=False):
        if name and formal.type_str == known.outputs[0].type_str:
            return _become(proto, "Reshape", [name, ""])
    return False


def _become(proto: NodeProto, op: str, inputs: Sequence[str], **attributes: Any) -> bool:
    """Make a node another one of ONNX, with its first output."""
    made = helper.make_node(op, list(inputs), proto.output[:1], proto.name, **attributes)
    proto.CopyFrom(made)
    return True
