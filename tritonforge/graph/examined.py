"""A file resolved for sizes of its dynamic dimensions: every node with its types and its cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx import GraphProto, ModelProto, TypeProto, ValueInfoProto

from tritonforge.errors import GraphError
from tritonforge.graph import cost, lean, schemas, shapes
from tritonforge.graph.described import dim_of
from tritonforge.graph.external import take_in
from tritonforge.graph.file import first_line
from tritonforge.graph.typed import Node, Resolved, UnsoundError, inferred, light, nodes, opsets


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A model as it was read, and its nodes with functions put in.

    `nodes` come in the file's order, those of a subgraph behind the node that holds it; `flops` has
    what each costs, None where that is not known. `fault` says why shapes could not be inferred.
    """

    model: ModelProto
    graph: GraphProto
    sizes: Mapping[str, int]
    nodes: tuple[Node, ...]
    flops: tuple[int | None, ...]
    fault: str | None


def examine(path: Path, sizes: Mapping[str, int]) -> Examined:
    """Read a file and infer its shapes; a dynamic dimension that has no size is 1.

    Raises `GraphError`, also for a size of a dimension that the model does not have.
    """
    model = lean.read(path)
    whole = ModelProto()
    whole.CopyFrom(model)
    take_in(path, whole)
    given = sizes_of(model, sizes)
    resolved, fault = _followed(whole, given)
    typed = tuple(nodes(resolved.graph, opsets(resolved.opset_import)))
    return Examined(
        model=model,
        graph=resolved.graph,
        sizes=given,
        nodes=typed,
        flops=tuple(map(cost.flops, typed)),
        fault=fault,
    )


def costs(given: Resolved, sizes: Mapping[str, int]) -> dict[int, int | None]:
    """Return the floating-point operations of each node by its `id`, None where unknown.

    Raises `GraphError` as `examine`.
    """
    sized, _ = _followed(given.model, sizes_of(given.model, sizes))
    same = nodes(sized.graph, opsets(sized.opset_import))
    return {id(node): cost.flops(other) for node, other in zip(given.nodes, same, strict=True)}


def _followed(model: ModelProto, sizes: Mapping[str, int]) -> tuple[ModelProto, str | None]:
    """Return a copy of these sizes with all shapes that can be told, and why some cannot."""
    fixed, fault = _fixed(model, sizes), None
    declared = {each.name: each.type for each in (*fixed.graph.value_info, *fixed.graph.output)}
    try:
        resolved = inferred(fixed)
    except UnsoundError as error:
        resolved, fault = light(fixed), first_line(error)
    shapes.fill(resolved, declared)
    return resolved, fault


def requested(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs that a request gives: those without a value in the file."""
    given = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in given]


def dims(value: ValueInfoProto) -> tuple[int | str, ...] | None:
    """Return a value's dimensions, those without a name named as in a signature; None of none."""
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or not tensor.HasField("shape"):
        return None
    return tuple(dim_of(dim, value.name, index) for index, dim in enumerate(tensor.shape.dim))


def sizes_of(model: ModelProto, given: Mapping[str, int]) -> dict[str, int]:
    """Return a size for every dynamic dimension of the inputs, 1 where none is given.

    Raises `GraphError` for a size of another.
    """
    found = {
        dim: given.get(dim, 1)
        for value in requested(model.graph)
        for dim in dims(value) or ()
        if isinstance(dim, str)
    }
    for name in given:
        if name not in found:
            hint = f"it has {', '.join(found)}" if found else "all its dimensions are fixed"
            raise GraphError(f"no input has a dynamic dimension {name!r}", hint=hint)
    return found


def _fixed(model: ModelProto, sizes: Mapping[str, int]) -> ModelProto:
    """Return a copy with sizes in the place of dynamic dimensions."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in fixed.graph.input:
        _put(value.type, dims(value) or (), sizes)
    _rename(fixed.graph, sizes)
    return fixed


def _rename(graph: GraphProto, sizes: Mapping[str, int]) -> None:
    """Replace named dimensions all over a graph and the graphs in it."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        _put(value.type, [each.dim_param for each in value.type.tensor_type.shape.dim], sizes)
    for node in graph.node:
        for inner in schemas.graphs_in(node):
            _rename(inner, sizes)


def _put(held: TypeProto, names: Sequence[int | str], sizes: Mapping[str, int]) -> None:
    """Replace the dimensions of a type that have a size."""
    for dim, name in zip(held.tensor_type.shape.dim, names, strict=False):
        if isinstance(name, str) and name in sizes:
            dim.dim_value = sizes[name]
