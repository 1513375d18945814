"""What a file takes and gives as ONNX Runtime tells it: also what no tensor of Triton can be."""

from collections.abc import Mapping

from onnx import ModelProto, TypeProto, ValueInfoProto

from tritonforge.graph.typed import whole
from tritonforge.tensors import Dim, Interface, Value

_OVERRIDABLE_SINCE = 4  # IR: before, weights had to be inputs, and were none that can be given
_DROPPED = {"Cast", "Dropout", "Identity"}  # operators which ONNX Runtime may take out, if alone


def interface(model: ModelProto, typed: ModelProto | None = None) -> Interface:
    """Return what a graph takes and gives; `typed` is the graph with inferred types.

    ONNX Runtime puts what it infers of an output together with what the file says of it
    (`graph.cc`, MergeShapeInfo), so that a dimension may be fixed that the file leaves open.
    """
    weights = {each.name for each in model.graph.initializer}
    weights |= {each.values.name for each in model.graph.sparse_initializer}
    inferred = {} if typed is None else {each.name: each.type for each in typed.graph.output}
    kept = len(model.graph.node) == 1 and model.graph.node[0].op_type not in _DROPPED
    spare = model.graph.input if model.ir_version >= _OVERRIDABLE_SINCE else ()
    return Interface(
        inputs=tuple(_value(each) for each in model.graph.input if each.name not in weights),
        optional=tuple(_value(each) for each in spare if each.name in weights),
        outputs=tuple(_value(each, inferred, kept=kept) for each in model.graph.output),
    )


def _value(
    given: ValueInfoProto, inferred: Mapping[str, TypeProto] | None = None, *, kept: bool = True
) -> Value:
    """Describe one input or output; `kept` says that no optimization changes the graph."""
    more = (inferred or {}).get(given.name, TypeProto())
    known = given.type if given.type.WhichOneof("value") else more
    said, found = _dims(known), _dims(more)
    kind = whole(known) or "unknown"
    if said is None or found is None:
        return Value(name=given.name, type=kind, dims=said or found or ())
    dims = _merged(said, found)
    clash = len(said) != len(found) or any(map(_differ, said, found))
    return Value(
        name=given.name, type=kind, dims=dims, otherwise=None if kept or not clash else found
    )


def _dims(known: TypeProto) -> tuple[Dim, ...] | None:
    """Return the dims of a tensor, None where nothing tells how many it has."""
    if known.WhichOneof("value") != "tensor_type" or not known.tensor_type.HasField("shape"):
        return None
    return tuple(
        int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param
        for dim in known.tensor_type.shape.dim
    )


def _merged(said: tuple[Dim, ...], found: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """Put two shapes together: a number beats a name, two numbers that differ are dynamic."""
    if len(said) != len(found):  # then it tells none
        return ()
    return tuple(map(_one, said, found))


def _differ(said: Dim, found: Dim) -> bool:
    return isinstance(said, int) and isinstance(found, int) and said != found


def _one(said: Dim, found: Dim) -> Dim:
    if isinstance(said, str) or isinstance(found, str):
        return said if isinstance(found, str) else found
    return said if said == found else ""
