"""A graph as ONNX Runtime's basic optimizations leave it, before it places any node."""

import tempfile
from math import prod
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper

from tritonforge.errors import GraphError
from tritonforge.graph.file import first_line
from tritonforge.graph.schemas import graphs_in
from tritonforge.graph.typed import is_large, light

# ONNX Runtime computes half floats in float where its CPU has no kernel; it names the values so.
_CAST = "InsertedPrecisionFreeCast_"


def optimized(model: ModelProto) -> ModelProto:
    """Return a model after the installed ONNX Runtime's basic optimizations, without large weights.

    They fold what is constant, shape arithmetic above all, and fuse a few nodes. Large weights are
    not read, however large: they are inputs of the graph meanwhile. Raises `GraphError` where ONNX
    Runtime does not load the model.
    """
    weights = [tensor for tensor in light(model).graph.initializer if _is_left_out(tensor)]
    found = _saved(_with_inputs(light(model), weights))
    _undo_casts(found.graph)
    names = {tensor.name for tensor in weights}
    inputs = [value for value in found.graph.input if value.name not in names]
    del found.graph.input[:]
    found.graph.input.extend(inputs)
    found.graph.initializer.extend(weights)
    return found


def _is_left_out(tensor: TensorProto) -> bool:
    """Say whether a weight has no values: `light` left them out."""
    fields = {field.name for field, _ in tensor.ListFields()}
    return fields <= {"name", "dims", "data_type"} and prod(tensor.dims) > 0


def _with_inputs(model: ModelProto, weights: list[TensorProto]) -> ModelProto:
    """Make inputs of weights."""
    names = {tensor.name for tensor in weights}
    stated = {value.name for value in model.graph.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in names]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
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
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # pybind exceptions without a common public base
            raise GraphError(
                f"ONNX Runtime {onnxruntime.__version__} refuses it: {first_line(error)}"
            ) from error
        return onnx.load(written)


def _undo_casts(graph: GraphProto) -> None:
    """Take out the casts that are for the CPU alone."""
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [name.removeprefix(_CAST) for name in names]
        for inner in graphs_in(node):
            _undo_casts(inner)
    kept = [node for node in graph.node if not (node.op_type == "Cast" and node.input == node.output)]
    del graph.node[:]
    graph.node.extend(kept)
    known = [value for value in graph.value_info if not value.name.startswith(_CAST)]
    del graph.value_info[:]
    graph.value_info.extend(known)
