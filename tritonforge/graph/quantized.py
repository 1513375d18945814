"""How coarse the numbers of a quantized model are."""

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from tritonforge.graph.typed import is_hollow

_QUANTIZES = {"QuantizeLinear", "DynamicQuantizeLinear", "DequantizeLinear"}
_KEEPS_VALUES = {"Identity", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"}


def is_quantized(model: ModelProto) -> bool:
    """Say whether a model quantizes values."""
    return any(node.op_type in _QUANTIZES for node in model.graph.node)


def steps(model: ModelProto) -> dict[str, float]:
    """Return the largest step of each output that comes straight from whole numbers.

    That is the scale of its DequantizeLinear, which must stand in the file.
    """
    made = {name: node for node in model.graph.node for name in node.output}
    scales = {tensor.name: tensor for tensor in model.graph.initializer}
    scales |= {
        node.output[0]: node.attribute[0].t
        for node in model.graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    found = {}
    for value in model.graph.output:
        node = made.get(value.name)
        while node is not None and node.op_type in _KEEPS_VALUES:
            node = made.get(node.input[0])
        if node is not None and node.op_type == "DequantizeLinear" and node.input[1] in scales:
            found[value.name] = _largest(scales[node.input[1]])
    return {name: step for name, step in found.items() if step > 0}


def _largest(scale: TensorProto) -> float:
    """Return the largest of a tensor's values, 0 where they are not in the file."""
    if is_hollow(scale):
        return 0.0
    return float(numpy_helper.to_array(scale).astype(np.float64).max(initial=0.0))
