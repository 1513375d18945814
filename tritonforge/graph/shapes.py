"""Shapes that depend on values: what a Reshape gives whose shape the graph computes from a Shape.

onnx infers shapes from types alone. Exporters write `[batch, seq, heads, -1]` as a dozen nodes, so
of a transformer nothing would be known. Here one pass in the file's order infers each node with the
values of the small tensors before it, which ONNX's reference implementation computes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, helper, numpy_helper

from tritonforge.graph import cost, schemas
from tritonforge.graph.schemas import MAIN

_SMALL = 1024  # elements: more are no shape
_RANDOM = ("Random", "Bernoulli", "Multinomial")
_LIKE_FIRST = {  # operators of ONNX Runtime's own that give what their first input is shaped like
    *("BiasGelu", "FastGelu", "Gelu", "QuickGelu", "SimplifiedLayerNormalization"),
    *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "RotaryEmbedding"),
}
_STANDARD = {"FusedConv": "Conv", "FusedGemm": "Gemm", "FusedMatMul": "MatMul"}
_THEIR_OWN = {
    "activation",
    "activation_alpha",
    "activation_beta",
    "activation_gamma",
    "activation_params",
}

Types = dict[str, TypeProto]
Values = dict[str, np.ndarray]


def fill(model: ModelProto, declared: Mapping[str, TypeProto]) -> None:
    """Add to a model whose inputs are fixed the shapes that follow from values, in place.

    `declared` holds types by name, for what an operator that nobody here knows gives.
    """
    versions = {entry.domain or MAIN: entry.version for entry in model.opset_import}
    _fill(model.graph, versions, declared, {}, {})


def _fill(
    graph: GraphProto,
    versions: Mapping[str, int],
    declared: Mapping[str, TypeProto],
    types: Types,
    values: Values,
) -> None:
    """Add shapes to a graph and the graphs in it; `types` and `values` are those around it."""
    types |= {each.name: each.type for each in (*graph.input, *graph.value_info, *graph.output)}
    for tensor in graph.initializer:
        types[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
        values |= _value_of(tensor)
    for node in graph.node:
        made = _inferred(node, versions, types, values)
        for name in filter(None, node.output):
            known = made.get(name, types.get(name))
            if cost.shape(known) is None and cost.shape(declared.get(name)) is not None:
                known = declared[name]
            if known is not None and known is not types.get(name):
                types[name] = known
                graph.value_info.add(name=name).type.CopyFrom(known)
        values |= _computed(node, versions, types, values)
        for inner in schemas.graphs_in(node):
            _fill(inner, versions, declared, dict(types), dict(values))
    for each in graph.output:
        each.type.CopyFrom(types[each.name])


def _inferred(
    node: NodeProto, versions: Mapping[str, int], types: Types, values: Values
) -> Mapping[str, TypeProto]:
    """Return the types of a node's outputs; none where they are whole, or cannot be told."""
    from onnx import shape_inference

    if all(cost.shape(types.get(name)) is not None for name in node.output if name):
        return {}
    if node.domain == "com.microsoft":
        if node.op_type in _LIKE_FIRST and node.input[0] in types:
            return {node.output[0]: types[node.input[0]]}
        node, types = _as_standard(node, types)
    opset = versions.get(node.domain or MAIN, 0)
    schema = schemas.schema(node.domain or MAIN, node.op_type, opset)
    if schema is None:
        return {}
    has_graphs = any(True for _ in schemas.graphs_in(node))
    seen = types if has_graphs else {name: types[name] for name in node.input if name in types}
    data = {name: numpy_helper.from_array(values[name]) for name in node.input if name in values}
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    try:
        return shape_inference.infer_node_outputs(
            schema, node, seen, input_data=data, opset_imports=opsets
        )
    except Exception:  # noqa: BLE001 # InferenceError, KeyError of an untyped input: not known then
        return {}


def _as_standard(node: NodeProto, types: Types) -> tuple[NodeProto, Types]:
    """Return a fused operator as the one that it was made of, its inputs transposed as it says."""
    plain = NodeProto()
    plain.CopyFrom(node)
    if node.op_type not in _STANDARD:
        return plain, types
    plain.op_type, plain.domain = _STANDARD[node.op_type], ""
    del plain.attribute[:]
    said = schemas.attributes(node)
    if node.op_type != "FusedMatMul":
        plain.attribute.extend(each for each in node.attribute if each.name not in _THEIR_OWN)
        return plain, types
    types = dict(types)
    for name, key in zip(node.input, ("transA", "transB"), strict=True):
        sizes = cost.shape(types.get(name))
        if sizes is not None and said.get(key):
            turned = [*sizes[:-2], sizes[-1], sizes[-2]]
            plain.input[0 if key == "transA" else 1] = f"{name} {key}"
            number = types[name].tensor_type.elem_type
            types[f"{name} {key}"] = helper.make_tensor_type_proto(number, turned)
    return plain, types


def _computed(node: NodeProto, versions: Mapping[str, int], types: Types, values: Values) -> Values:
    """Return the values of a node's outputs where they are small and follow from known ones."""
    from onnx.reference import ReferenceEvaluator

    if node.domain not in {"", MAIN} or node.op_type.startswith(_RANDOM):
        return {}
    if node.op_type in {"Shape", "Size"}:
        sizes = cost.shape(types.get(node.input[0]))
        fed = None if sizes is None else {node.input[0]: np.broadcast_to(np.float32(0), sizes)}
    else:
        fed = {name: values[name] for name in node.input if name in values}
        if len(fed) < len({*filter(None, node.input)}) or not _is_small(node, types):
            return {}
    if fed is None or any(True for _ in schemas.graphs_in(node)):
        return {}
    try:
        with np.errstate(all="ignore"):
            made = ReferenceEvaluator(node, opsets={"": versions.get(MAIN, 1)}).run(None, fed)
    except Exception:  # noqa: BLE001 # it has no base for its errors: not known then
        return {}
    return {
        name: np.asarray(value)
        for name, value in zip(node.output, made, strict=False)
        if name and isinstance(value, np.ndarray | np.generic)
    }


def _is_small(node: NodeProto, types: Types) -> bool:
    """Say whether a node's outputs are so small that they may be a shape."""
    shapes = [cost.shape(types.get(name)) for name in node.output if name]
    return all(each is not None and np.prod(each) <= _SMALL for each in shapes)


def _value_of(tensor: TensorProto) -> dict[str, Any]:
    """Return a tensor's value by its name, where it is small and in the file."""
    held = tensor.data_location != TensorProto.EXTERNAL
    if not held or np.prod(tensor.dims) > _SMALL or tensor.ByteSize() > _SMALL * 16:
        return {}
    try:
        return {tensor.name: numpy_helper.to_array(tensor)}
    except Exception:  # noqa: BLE001 # values that were left out, or do not suit the dims
        return {}
