"""A key of what a model computes, in the names of its values.

TensorRT's engines are cached under a hash of the file's name and of those of a graph's inputs and
of its nodes' outputs (`TRTGenerateId`), after ONNX Runtime's basic optimizations. Weights are not
in it: a version with others would meet the engine of the one before.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    numpy_helper,
)

from tritonforge.errors import GraphError
from tritonforge.graph.external import chunks, is_external, region
from tritonforge.graph.file import first_line
from tritonforge.graph.optimized import optimized
from tritonforge.graph.schemas import MAIN, every_graph
from tritonforge.graph.typed import UnsoundError, is_hollow

_Stream = tuple[int, Iterable[bytes]]  # bytes in blocks, and how many

_LENGTH = 12
_MARK = ".key_"
_MARKED = re.compile(rf"(?:{re.escape(_MARK)}[0-9a-f]{{{_LENGTH}}})+$")
# They compute most of what an engine does, and some of them read no weight.
_PRODUCTS = {
    *("Conv", "ConvTranspose", "DeformConv", "MatMul", "Gemm", "Einsum", "Attention"),
    *("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QGemm"),
    *("FusedConv", "FusedMatMul", "FusedGemm", "MatMulNBits", "MultiHeadAttention"),
}
# Of these are shapes, indices and conditions, which engines with other weights have in common.
_NO_WEIGHTS = {TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING}
# ONNX Runtime's CPU has few kernels for half floats. Around the others it inserts casts, after the
# basic optimizations and for no node that TensorRT took, and calls what they cast so.
_CAST = "InsertedPrecisionFreeCast_"


def key(model: ModelProto, folder: Path | None = None) -> str:
    """Return a short hash of a model's graphs, functions and weights.

    It does not depend on where the file lies, who wrote it, the order of its nodes, the form of its
    tensors, or earlier keys in it. `folder` is where the files lie that hold weights. Raises
    `GraphError` for a model that was read without weights.
    """
    opsets = sorted(f"{each.domain or MAIN} {each.version}" for each in model.opset_import)
    functions = (
        _hash(
            *(each.domain, each.name, each.overload, *each.input, "", *each.output, ""),
            *(
                *sorted(each.attribute),
                *sorted(_attribute(one, folder) for one in each.attribute_proto),
            ),
            *sorted(f"{one.domain or MAIN} {one.version}" for one in each.opset_import),
            *_nodes(each.node, folder),
        )
        for each in model.functions
    )
    return _hash(*opsets, *sorted(functions), _graph(model.graph, folder))[:_LENGTH]


def rename(model: ModelProto, key: str) -> tuple[str, ...]:
    """Put a key into the names of values that engines are cached by, in place; return the new ones.

    Those are what nodes give that read weights or multiply, and that are left after ONNX Runtime's
    basic optimizations; of a node that gives nothing but outputs of the model, what it reads. An
    earlier key is replaced. Inputs, outputs and weights of the model keep their names; where there
    is nothing else, nothing is renamed. Raises `GraphError` where ONNX Runtime refuses the model.
    """
    graphs = [*every_graph(model.graph)]
    kept = {each.name for each in (*model.graph.input, *model.graph.output)}
    kept |= {name for graph in graphs for name in _weights(graph)}
    made = dict.fromkeys(
        name for graph in graphs for node in graph.node for name in node.output if name
    )
    left = _surviving(model, [name for name in made if name not in kept])
    taken, names = kept | made.keys() | {each.name for one in graphs for each in one.input}, {}
    for name in left:
        names[name] = _free(f"{_plain(name)}{_MARK}{key}", key, taken - {name})
        taken.add(names[name])
    # A name may stand for different values in graphs that do not see each other, or hide one: all
    # are renamed alike, and new names are free in every graph, so each still means what it meant.
    for graph in graphs:
        _replace(graph, names)
    return tuple(names.values())


def is_key(name: str) -> bool:
    """Say whether a value bears a key in its name."""
    return _MARKED.search(name) is not None


def _surviving(model: ModelProto, inner: list[str]) -> list[str]:
    """Return those of the inner values that hold what engines differ in, in the model's order."""
    try:
        graphs = [*every_graph(optimized(model).graph)]
    except UnsoundError as error:
        raise GraphError(f"the model is not sound: {first_line(error)}") from error
    weights = {
        each.name
        for graph in graphs
        for each in graph.initializer
        if each.data_type not in _NO_WEIGHTS
    }
    known = {*inner, *weights}
    nodes = [
        (node.op_type, _uncast(node.input, known), _uncast(node.output, known))
        for graph in graphs
        for node in graph.node
    ]
    left = set(inner).intersection(name for _, _, given in nodes for name in given)
    found: set[str] = set()
    for op, read, given in nodes:
        if op in _PRODUCTS or not weights.isdisjoint(read):
            found |= left & given or left & read
    return [name for name in inner if name in (found or left)]


def _uncast(names: Iterable[str], known: set[str]) -> set[str]:
    """Return names as they were before ONNX Runtime inserted casts."""
    return {name if name in known else name.removeprefix(_CAST) for name in names}


def _free(name: str, key: str, taken: set[str]) -> str:
    """Return a name that nothing else has."""
    while name in taken:
        name = f"{name}{_MARK}{key}"
    return name


def _replace(graph: GraphProto, names: dict[str, str]) -> None:
    """Rename values in one graph."""
    for node in graph.node:
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                field[index] = names.get(name, name)
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for each in graph.quantization_annotation:
        each.tensor_name = names.get(each.tensor_name, each.tensor_name)


def _weights(graph: GraphProto) -> Iterator[str]:
    """Yield the names of a graph's weights."""
    yield from (each.name for each in graph.initializer)
    yield from (each.values.name for each in graph.sparse_initializer)


def _plain(name: str) -> str:
    """Return a name without keys in it."""
    return _MARKED.sub("", name)


def _graph(graph: GraphProto, folder: Path | None) -> str:
    """Hash a graph; its nodes and weights in any order, for their names say how they hang together.

    Of its values, types are hashed of the inputs alone: the others follow from them.
    """
    weights = [_hash(each.name, _tensor(each, folder)) for each in graph.initializer]
    sparse = [_hash(each.values.name, *_sparse(each, folder)) for each in graph.sparse_initializer]
    inputs = [
        _hash(_plain(each.name), each.type.SerializeToString(deterministic=True))
        for each in graph.input
    ]
    return _hash(
        *(*inputs, "", *(_plain(each.name) for each in graph.output), ""),
        *(*sorted(weights), "", *sorted(sparse), "", *_nodes(graph.node, folder)),
    )


def _nodes(nodes: Iterable[NodeProto], folder: Path | None) -> list[str]:
    """Hash nodes, whatever they are called."""
    return sorted(
        _hash(
            *(node.domain or MAIN, node.op_type, node.overload),
            *(*map(_plain, node.input), "/", *map(_plain, node.output), "/"),
            *sorted(_attribute(each, folder) for each in node.attribute),
        )
        for node in nodes
    )


def _attribute(given: AttributeProto, folder: Path | None) -> str:
    """Hash an attribute and what is in it."""
    plain = AttributeProto(
        name=given.name,
        ref_attr_name=given.ref_attr_name,
        type=given.type,
        **{
            each.name: value
            for each, value in given.ListFields()
            if each.name in {"f", "i", "s", "tp", "floats", "ints", "strings", "type_protos"}
        },
    )
    sparse = [given.sparse_tensor] if given.HasField("sparse_tensor") else []
    return _hash(
        plain.SerializeToString(deterministic=True),
        *(_tensor(each, folder) for each in ([given.t] if given.HasField("t") else [])),
        *(_tensor(each, folder) for each in given.tensors),
        *(_graph(each, folder) for each in ([given.g] if given.HasField("g") else [])),
        *(_graph(each, folder) for each in given.graphs),
        *(_hash(*_sparse(each, folder)) for each in (*sparse, *given.sparse_tensors)),
    )


def _sparse(tensor: SparseTensorProto, folder: Path | None) -> tuple[str, ...]:
    """Hash the parts of a sparse tensor."""
    return _tensor(tensor.values, folder), _tensor(tensor.indices, folder), *map(str, tensor.dims)


def _tensor(tensor: TensorProto, folder: Path | None) -> str:
    """Hash a tensor, in whichever of its forms the values are."""
    values: list[bytes | _Stream]
    if is_external(tensor) and folder is not None:
        values = [(region(tensor)[2], chunks(tensor, folder))]
    elif is_hollow(tensor):
        raise GraphError(
            f"the weights of {tensor.name!r} were not read",
            hint="load the model with its weights",
        )
    elif tensor.data_type == TensorProto.STRING:
        values = [*tensor.string_data]
    elif tensor.HasField("raw_data"):
        values = [tensor.raw_data]
    else:
        values = [numpy_helper.to_array(tensor).tobytes()]
    return _hash(str(tensor.data_type), *map(str, tensor.dims), "/", *values)


def _hash(*parts: str | bytes | _Stream) -> str:
    """Hash parts so that none runs into the next."""
    found = sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        size, blocks = data if isinstance(data, tuple) else (len(data), [data])
        found.update(size.to_bytes(8, "little"))
        for block in blocks:
            found.update(block)
    return found.hexdigest()
