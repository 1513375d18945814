"""By what TensorRT's engines of a model are cached: names, and no weights."""

from dataclasses import dataclass
from hashlib import sha256

from onnx import ModelProto

from tritonforge.graph.keyed import is_key
from tritonforge.graph.schemas import every_graph


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedBy:
    """A hash of the names that an engine's file bears a hash of; whether they tell weights apart.

    ONNX Runtime hashes them after its basic optimizations: of graphs that have the same operators
    too, what is the same before is the same then.
    """

    names: str
    by_weights: bool


def cached_by(model: ModelProto) -> CachedBy:
    """Return by what the engines of a model are cached, but for the name of its file."""
    graphs = [*every_graph(model.graph)]
    inputs = [each.name for graph in graphs for each in graph.input]
    nodes = [node for graph in graphs for node in graph.node]
    outputs = [name for node in nodes for name in node.output]
    words = (*inputs, "", *outputs, "", *(node.op_type for node in nodes))
    return CachedBy(
        names=sha256("\0".join(words).encode("utf-8", "replace")).hexdigest(),
        by_weights=any(map(is_key, outputs)),
    )
