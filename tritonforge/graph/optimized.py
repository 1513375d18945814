"""A graph as ONNX Runtime's basic optimizations leave it, before it places any node."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, TypeProto, ValueInfoProto, helper

from tritonforge.errors import GraphError
from tritonforge.graph.file import first_line
from tritonforge.graph.ordering import reads, sort
from tritonforge.graph.schemas import graphs_in
from tritonforge.graph.typed import Node, Resolved, UnsoundError, is_hollow, light, resolved

# It leaves those of quantized models where they are, and what is drawn.
_NEVER_FOLDED = {
    *("DequantizeLinear", "RandomUniformLike", "RandomNormalLike", "Multinomial", "Bernoulli"),
}
# Today's leaves fewer nodes that compute a shape than those in images do: of 118,000 that 1.19.2
# places in 700 networks, 1,500 have no counterpart with it, and 600 without.
_NEWER = ["ReshapeFusion"]
_UNKNOWN = 1 << 20  # a size that is certainly not small


def optimized(model: ModelProto) -> ModelProto:
    """Return a model after the installed ONNX Runtime's basic optimizations, without large weights.

    They fold what is constant, shape arithmetic above all, and fuse a few nodes. Large weights are
    not read, however large: they are inputs of the graph meanwhile. Raises `GraphError` where ONNX
    Runtime does not load the model.
    """
    weights = [tensor for tensor in light(model).graph.initializer if is_hollow(tensor)]
    found = _saved(_with_inputs(light(model), weights))
    names = {tensor.name for tensor in weights}
    _replace(found.graph.input, [each for each in found.graph.input if each.name not in names])
    found.graph.initializer.extend(weights)
    return _folded(resolved(found))


def optimized_around(given: Resolved, foreign: Callable[[Node], bool]) -> ModelProto:
    """Return a model after the same optimizations, nodes of its main graph that are foreign aside.

    ONNX Runtime's CPU would write those as other operators, or refuse the model for them. The rest
    is optimized as if their outputs were inputs of the graph. Raises as `optimized`.
    """
    aside = [node for node in given.nodes if not node.path and foreign(node)]
    if not aside:
        return optimized(given.model)
    try:
        types = types_of(optimized(given.model))
    except (GraphError, UnsoundError):
        types = {}
    copy = ModelProto()
    copy.CopyFrom(given.model)
    made = {
        name: types.get(name) or node.scope.get(name)
        for node in aside
        for name in node.proto.output
        if name
    }
    stated = {each.name for each in (*copy.graph.input, *copy.graph.output)}
    read = {name for node in aside for name in reads(node.proto)} - made.keys() - stated
    fixed = {each.name for each in copy.graph.initializer}
    _replace(
        copy.graph.node, [each for each in copy.graph.node if not made.keys() & set(each.output)]
    )
    copy.graph.input.extend(
        ValueInfoProto(name=name, type=known) for name, known in made.items() if known is not None
    )
    copy.graph.output.extend(ValueInfoProto(name=name) for name in sorted(read - fixed))
    inputs, outputs = [*given.model.graph.input], [*given.model.graph.output]
    found = optimized(copy)
    _replace(found.graph.input, inputs)
    _replace(found.graph.output, outputs)
    there = {tensor.name for tensor in found.graph.initializer}
    wanted = {name for node in aside for name in node.proto.input} - there
    weights = [each for each in given.model.graph.initializer if each.name in wanted]
    found.graph.initializer.extend(weights)
    found.graph.node.extend(node.proto for node in aside)
    sort(found.graph)
    return found


def types_of(model: ModelProto) -> dict[str, TypeProto]:
    """Return the types of the values that the nodes of a main graph make; raises `UnsoundError`."""
    return {
        name: node.scope[name]
        for node in resolved(model).nodes
        for name in node.proto.output
        if name in node.scope and not node.path
    }


def _folded(given: Resolved) -> ModelProto:
    """Return a model whose weights stand for what is computed from nothing but weights.

    ONNX Runtime would fold that, too, had it seen the weights. Their values are not known.
    """
    graph = given.model.graph
    constant = {tensor.name for tensor in graph.initializer}
    gone: list[Node] = []
    for node in given.nodes:
        read = [*filter(None, node.proto.input)]
        works = not node.path and node.op not in _NEVER_FOLDED and not [*graphs_in(node.proto)]
        if works and read and constant.issuperset(read):
            gone.append(node)
            constant.update(node.proto.output)
    made = {name for node in gone for name in node.proto.output if name}
    _replace(graph.node, [proto for proto in graph.node if made.isdisjoint(proto.output)])
    needed = {name for proto in graph.node for name in reads(proto)}
    needed |= {value.name for value in graph.output}
    for node in gone:
        for name in needed.intersection(node.proto.output):
            known = node.scope[name].tensor_type if name in node.scope else TypeProto.Tensor()
            dims = [dim.dim_value or _UNKNOWN for dim in known.shape.dim]
            graph.initializer.add(name=name, data_type=known.elem_type, dims=dims)
    return given.model


def _with_inputs(model: ModelProto, weights: list[TensorProto]) -> ModelProto:
    """Make inputs of weights."""
    names = {tensor.name for tensor in weights}
    stated = {value.name for value in model.graph.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in names]
    _replace(model.graph.initializer, kept)
    model.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in weights
        if tensor.name not in stated
    )
    return model


def _saved(model: ModelProto) -> ModelProto:
    """Open a session for the file that it writes of what it has optimized."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "model.onnx")
        options.optimized_model_filepath = str(written)
        try:
            onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=_NEWER,
            )
        except Exception as error:  # pybind exceptions without a common public base
            raise GraphError(
                f"ONNX Runtime {onnxruntime.__version__} refuses it: {first_line(error)}"
            ) from error
        return onnx.load(written)


def _replace(field: Any, values: list[Any]) -> None:
    """Put messages in the place of those that a repeated field holds."""
    kept = [type(each).FromString(each.SerializeToString()) for each in values]
    del field[:]
    field.extend(kept)
