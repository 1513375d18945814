"""Inputs that no node of a graph reads."""

from collections.abc import Container

from onnx import ModelProto

from tritonforge.graph.schemas import every_graph


def unused_inputs(model: ModelProto) -> tuple[str, ...]:
    """Name the inputs that neither a node, in branches and loops too, nor an output takes."""
    read = {
        name for graph in every_graph(model.graph) for node in graph.node for name in node.input
    }
    read |= {output.name for graph in every_graph(model.graph) for output in graph.output}
    return tuple(each.name for each in model.graph.input if each.name not in read)


def drop_inputs(model: ModelProto, names: Container[str]) -> None:
    """Take inputs out of a model, in place."""
    kept = [each for each in model.graph.input if each.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(kept)
