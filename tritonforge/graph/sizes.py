"""Sizes in the place of the dynamic dimensions of a model's inputs."""

from collections.abc import Mapping

from onnx import ModelProto


def sizes(model: ModelProto, given: Mapping[str, int]) -> dict[str, int]:
    """Return a size for every named dimension of the inputs: 1 unless one is given."""
    names = {
        dim.dim_param
        for value in model.graph.input
        for dim in value.type.tensor_type.shape.dim
        if dim.dim_param
    }
    return {name: given.get(name, 1) for name in sorted(names)}


def fixed(model: ModelProto, given: Mapping[str, int]) -> ModelProto:
    """Return a copy whose inputs have sizes, 1 where none is given."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = given.get(dim.dim_param, 1)
    return copy
