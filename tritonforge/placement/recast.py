"""Where ONNX Runtime crashes: a Cast between a Transpose that moves the first axis and a MatMul.

From 1.19 its `matmul_transpose_fusion.cc` puts the Transpose behind the Cast before it finds that
the other operand is of another rank, and leaves the graph broken. Half floats that the CPU computes
in float get such a Cast from ONNX Runtime itself, and meet the fusion from 1.23. Measured by
loading such graphs in the wheels of eleven releases, and in three with the CUDA provider.
"""

from collections.abc import Container, Iterator, Sequence

from tritonforge.graph import cost
from tritonforge.graph.schemas import attributes
from tritonforge.graph.typed import Node
from tritonforge.placement.fusions import Graph, linked
from tritonforge.placement.matching import bound_types, mismatch
from tritonforge.release import Release

_SINCE, _SINCE_HALVES, _KEPT_OUTPUTS = (1, 19), (1, 23), (1, 31)
_FLOATS = {"float", "double", "float16", "bfloat16"}


def crash(
    nodes: Sequence[Node], release: Release, *, gpu: bool, taken: Container[int] = ()
) -> str | None:
    """Say at which node the release's ONNX Runtime crashes, None where at none.

    The nodes are as basic optimizations leave them; `taken` are those that TensorRT has.
    """
    if release.minor < _SINCE:
        return None
    graph = linked([node for node in nodes if id(node) not in taken])
    halves = not gpu and release.minor >= _SINCE_HALVES and _casts_weights(graph, release)
    for node in graph.nodes:
        if not _is_product(node, release):
            continue
        for name, other in (node.proto.input[:2], node.proto.input[1::-1]):
            made = _cast_by_itself(graph, node, name, release) if halves else None
            made = made or _recast(graph, node, name, release, gpu=gpu)
            if made is not None and not _may_be_fused(graph, node, name, other):
                what = f"{node.op} {node.name} of what {made.name} transposes"
                return f"{what} and then is cast, at which it crashes"
    return None


def _is_product(node: Node, release: Release) -> bool:
    """Say whether the fusion looks at a node."""
    named = node.op == "FusedMatMul" or (node.op == "MatMul" and node.since >= 9)
    return named and bound_types(node, release).get("T") in _FLOATS


def _recast(graph: Graph, node: Node, name: str, release: Release, *, gpu: bool) -> Node | None:
    """Return the Transpose of which an operand is the Cast, None where it is none."""
    if not gpu and node.types.get("T") == "float16":
        return None  # there is another Cast between
    cast = graph.maker(name, "Cast")
    if cast is None or (None in graph.readers[name] and release.minor >= _KEPT_OUTPUTS):
        return None
    return _moved(graph, node, cast.proto.input[0])


def _cast_by_itself(graph: Graph, node: Node, name: str, release: Release) -> Node | None:
    """Return the Transpose of half floats that an operand is, None where it is none.

    One that computes in float, as all around it does, is not cast behind it. Source:
    `insert_cast_transformer.cc` (IsIsolatedFp16NodeOnCpu).
    """
    if node.types.get("T") != "float16" or mismatch(node, release, "cpu") is None:
        return None
    made = _moved(graph, node, name)
    if made is None or _becomes_gemm(graph, node):
        return None
    around = [graph.makers.get(made.proto.input[0]), *graph.readers[made.proto.output[0]]]
    halves = any(each is None or mismatch(each, release, "cpu") is None for each in around)
    return made if halves else None


def _becomes_gemm(graph: Graph, node: Node) -> bool:
    """Say whether a bias is added to a product of a fixed shape, which is one operator before."""
    after = graph.only_reader(node)
    return (
        after is not None
        and after.op == "Add"
        and cost.shape(node.scope.get(node.proto.input[0])) is not None
    )


def _moved(graph: Graph, node: Node, name: str) -> Node | None:
    """Return the Transpose beside a node that makes a value and puts the first axis behind."""
    made = graph.maker(name, "Transpose")
    if made is None or made.graph is not node.graph or None in graph.readers[name]:
        return None
    perm = [*attributes(made.proto).get("perm", ())]
    rank = len(perm)
    moves = perm in ([*range(1, rank), 0], [*range(1, rank - 1), 0, rank - 1])
    return made if moves and rank > 2 else None


def _may_be_fused(graph: Graph, node: Node, name: str, other: str) -> bool:
    """Say whether the other operand is as the fusion wants it: of that rank, or transposed too."""
    ranks = {_rank(node, each) for each in (name, other)}
    if len(ranks) == 1 and None not in ranks:
        return True
    return any(graph.maker(each, "Transpose") for each in (other, *_before_cast(graph, other)))


def _before_cast(graph: Graph, name: str) -> Iterator[str]:
    """Yield what a value is a Cast of, nothing where it is none."""
    cast = graph.maker(name, "Cast")
    yield from () if cast is None else cast.proto.input


def _rank(node: Node, name: str) -> int | None:
    """Return the number of dimensions of a value, None where it is unknown."""
    tensor = node.scope[name].tensor_type if name in node.scope else None
    return len(tensor.shape.dim) if tensor is not None and tensor.HasField("shape") else None


def _casts_weights(graph: Graph, release: Release) -> bool:
    """Say whether weights of half floats are cast, after which ONNX Runtime optimizes once more."""
    weights: dict[int, set[str]] = {}
    for node in graph.nodes:
        if node.types.get("T") != "float16" or mismatch(node, release, "cpu") is None:
            continue
        if id(node.graph) not in weights:
            constants = (each for each in node.graph.node if each.op_type == "Constant")
            known = {tensor.name for tensor in node.graph.initializer}
            weights[id(node.graph)] = known | {each.output[0] for each in constants}
        if not weights[id(node.graph)].isdisjoint(node.proto.input):
            return True
    return False
