"""The nodes of a model with the types that go in and come out, as ONNX Runtime resolves them."""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    TypeProto,
    helper,
)

from tritonforge.graph import contrib, expansion, schemas
from tritonforge.graph.inference import infer
from tritonforge.graph.schemas import MAIN

_LARGE = 1024  # bytes: a tensor that no shape is read from
_VALUES = {
    *("raw_data", "float_data", "int32_data", "string_data"),
    *("int64_data", "double_data", "uint64_data"),
}
# ONNX Runtime takes a Constant for a value, whatever its attributes, before it infers anything.
_OF_A_CONSTANT = "(op_type:Constant)"
# As ONNX Runtime writes element types; all others are their names in lower case.
_WRITTEN: Mapping[int, str] = {TensorProto.DOUBLE: "double", TensorProto.FLOAT: "float"}


class UnsoundError(Exception):
    """What ONNX Runtime refuses a model for before it looks for kernels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node: `schema` is None of an operator that ONNX does not define at this opset.

    `name` is its own, or one made up; `graph` is what it lies in, `path` names the nodes around it
    and `branches` the attributes that hold it. `types` holds what is bound to each type parameter
    and input of the schema, written as kernels are registered; `scope` every type by the name of
    its value.
    """

    proto: NodeProto
    graph: GraphProto
    name: str
    op: str
    domain: str
    opset: int
    schema: Any
    path: tuple[str, ...]
    branches: tuple[str, ...]
    types: Mapping[str, str]
    scope: Mapping[str, TypeProto]

    @property
    def since(self) -> int:
        """Return the version of the operator; ONNX Runtime's own start at 1."""
        return self.schema.since_version if self.schema is not None else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A model with inferred types, its functions put in, and its nodes."""

    model: ModelProto
    nodes: tuple[Node, ...]


def resolved(model: ModelProto) -> Resolved:
    """Infer types once for whoever looks at the nodes; raises `UnsoundError`."""
    typed = inferred(model)
    return Resolved(model=typed, nodes=tuple(nodes(typed.graph, opsets(typed.opset_import))))


def opsets(entries: Any) -> dict[str, int]:
    """Return the opset of each domain."""
    return {entry.domain or MAIN: entry.version for entry in entries}


def inferred(model: ModelProto) -> ModelProto:
    """Return a copy with inferred types, its functions put in and large weights left out.

    Declared shapes are left to the inference: ONNX Runtime only warns where they differ. Raises
    `UnsoundError` where the inference fails.
    """
    copy = light(model)
    weights = {tensor.name for tensor in copy.graph.initializer}
    declared = [value for value in copy.graph.value_info if value.name not in weights]
    del copy.graph.value_info[:]
    copy.graph.value_info.extend(declared)
    for value in (*copy.graph.output, *copy.graph.value_info):
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    for graph in schemas.every_graph(copy.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            _open(value.type)
    try:
        whole = with_functions_put_in(copy)
        try:
            return infer(whole, strict_mode=True)
        except Exception as error:
            if _OF_A_CONSTANT in str(error):
                return infer(whole)
            raise
    except MemoryError:  # which says nothing of the model
        raise
    except Exception as error:  # InferenceError, and what its checker and inliner raise
        raise UnsoundError(str(error).strip()) from error


def _open(known: TypeProto) -> None:
    """Take sizes below 0 for dynamic ones, as ONNX Runtime does; ONNX's inference trusts them."""
    for dim in known.tensor_type.shape.dim if known.HasField("tensor_type") else ():
        if dim.dim_value < 0:
            dim.ClearField("dim_value")


def with_functions_put_in(model: ModelProto) -> ModelProto:
    """Return a model in which its own functions' bodies stand for them, as of its own opset."""
    from onnx import inliner

    if not model.functions:
        return model
    if not expansion.is_bounded(model):
        raise UnsoundError(f"its functions stand for more than {expansion.MOST:,} nodes")
    versions = opsets(model.opset_import)
    others = any(
        version != versions.get(domain, version)
        for function in model.functions
        for domain, version in opsets(function.opset_import).items()
    )
    return inliner.inline_local_functions(model, convert_version=others)


def light(model: ModelProto) -> ModelProto:
    """Return a copy without the values of large weights, and of sparse ones."""
    copy = ModelProto(ir_version=model.ir_version)
    copy.opset_import.extend(model.opset_import)
    copy.functions.extend(model.functions)
    copy.graph.name = model.graph.name
    for field in ("node", "input", "output", "value_info"):
        getattr(copy.graph, field).extend(getattr(model.graph, field))
    for tensor in model.graph.initializer:
        if is_large(tensor):
            copy.graph.initializer.add(
                name=tensor.name, data_type=tensor.data_type, dims=tensor.dims
            )
        else:
            copy.graph.initializer.append(tensor)
    copy.graph.initializer.extend(map(dense, model.graph.sparse_initializer))
    for entry in copy.opset_import:
        entry.domain = "" if entry.domain == MAIN else entry.domain
    for part in (copy.graph, *copy.functions):
        _write_briefly(part.node)
    return copy


def dense(tensor: SparseTensorProto) -> TensorProto:
    """Return a tensor as wide as a sparse one, without its values; ONNX infers other dims of it."""
    kind = tensor.values.data_type
    return TensorProto(name=tensor.values.name, data_type=kind, dims=tensor.dims)


def _write_briefly(protos: Iterable[NodeProto]) -> None:
    """Leave ONNX's own domain empty: ONNX's inference does not know it by its name."""
    for proto in protos:
        if proto.domain == MAIN:
            proto.domain = ""
        for graph in schemas.graphs_in(proto):
            _write_briefly(graph.node)


def is_large(tensor: TensorProto) -> bool:
    """Say whether a weight is none that shapes are computed from, or lies in another file."""
    return tensor.ByteSize() > _LARGE or tensor.data_location == TensorProto.EXTERNAL


def is_hollow(tensor: TensorProto) -> bool:
    """Say whether a tensor has elements and none of their values: left out, or in another file."""
    fields = {field.name for field, _ in tensor.ListFields()}
    return "data_type" in fields and fields.isdisjoint(_VALUES) and prod(tensor.dims) > 0


def nodes(
    graph: GraphProto,
    versions: Mapping[str, int],
    path: Sequence[str] = (),
    outer: MutableMapping[str, TypeProto] | None = None,
    branches: Sequence[str] = (),
    *,
    is_typed: bool = True,
) -> Iterator[Node]:
    """Yield every node of a graph with inferred types, and those of the graphs in it.

    One that is not typed yet has nothing bound.
    """
    scope: MutableMapping[str, TypeProto] = {}
    if outer:  # not copied, as many branches of one graph may lie in a large one
        scope = outer.new_child() if isinstance(outer, ChainMap) else ChainMap({}, outer)
    for value in (*graph.input, *graph.value_info, *graph.output):
        scope[value.name] = value.type
    for tensor in graph.initializer:
        scope[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
    for index, proto in enumerate(graph.node):
        domain = proto.domain or MAIN
        opset = versions.get(domain, 0)
        known = schemas.schema(domain, proto.op_type, opset)
        name = node_name(proto, index)
        yield Node(
            proto=proto,
            graph=graph,
            name=name,
            op=proto.op_type,
            domain=domain,
            opset=opset,
            schema=known,
            path=tuple(path),
            branches=tuple(branches),
            types=_bound(domain, proto, opset, scope) if is_typed else {},
            scope=scope,
        )
        for branch, inner in schemas.named_graphs_in(proto):
            way, held = (*path, name), (*branches, branch)
            yield from nodes(inner, versions, way, scope, held, is_typed=is_typed)


def _bound(
    domain: str, proto: NodeProto, opset: int, scope: Mapping[str, TypeProto]
) -> Mapping[str, str]:
    known = contrib.standard(domain, proto.op_type, opset)
    return {} if known is None else bound(proto, known, scope)


def node_name(proto: NodeProto, index: int) -> str:
    """Return a node's name, one made of its place in its graph where it has none."""
    return proto.name or f"{proto.op_type}_{index}"


def bound(proto: NodeProto, known: Any, scope: Mapping[str, TypeProto]) -> dict[str, str]:
    """Return the type of each type parameter, and of each input and output by its own name."""
    found: dict[str, str] = {}
    for formals, names in ((known.inputs, proto.input), (known.outputs, proto.output)):
        for index, name in enumerate(names):
            written = type_of(scope[name]) if name in scope else None
            if written is None or not formals:
                continue
            formal = formals[min(index, len(formals) - 1)]
            found.setdefault(formal.type_str, written)
            found.setdefault(formal.name, written)
    return found


def type_of(proto: TypeProto) -> str | None:
    """Write a type as kernels are registered: a tensor by its elements, others whole."""
    if proto.WhichOneof("value") == "tensor_type":
        number = proto.tensor_type.elem_type
        return element(number) if number else None
    return whole(proto)


def whole(proto: TypeProto) -> str | None:
    """Write a type as ONNX Runtime does, such as `tensor(float)`; None where there is none."""
    match proto.WhichOneof("value"):
        case "tensor_type":
            return f"tensor({element(proto.tensor_type.elem_type)})"
        case "sequence_type":
            return f"seq({whole(proto.sequence_type.elem_type)})"
        case "optional_type":
            return f"optional({whole(proto.optional_type.elem_type)})"
        case "map_type":
            key = element(proto.map_type.key_type)
            return f"map({key},{whole(proto.map_type.value_type)})"
        case other:
            return None if other is None else str(other)


@cache
def element(number: int) -> str:
    """Write an element type as ONNX Runtime does, such as `float`."""
    known = TensorProto.DataType.DESCRIPTOR.values_by_number.get(number)
    return _WRITTEN.get(number) or (str(known.name).lower() if known else f"type {number}")
