"""Where ONNX Runtime crashes: a Cast between a Transpose that moves the first axis and a MatMul.

From 1.19 its `matmul_transpose_fusion.cc` puts the Transpose behind the Cast before it finds that
the other operand is of another rank, and leaves the graph broken. Half floats that the CPU computes
in float get such a Cast from ONNX Runtime itself, and meet the fusion from 1.23. Measured by
loading such graphs in the wheels of eleven releases, and in three with the CUDA provider.
"""

from collections.abc import Iterator

from tritonforge.graph.schemas import attributes
from tritonforge.graph.typed import Node
from tritonforge.placement.fusions import Graph
from tritonforge.placement.matching import mismatch
from tritonforge.release import Release

_SINCE, _SINCE_HALVES, _KEPT_OUTPUTS = (1, 19), (1, 23), (1, 31)


def crash(graph: Graph, release: Release, *, gpu: bool) -> str | None:
    """Say what crashes the release's ONNX Runtime, None where nothing does."""
    for node in graph.nodes if release.minor >= _SINCE else ():
        if node.op != "MatMul" or node.since < 9:
            continue
        for name, other in (node.proto.input, reversed(node.proto.input)):
            if not _may_be_fused(graph, node, other, name) and _is_recast(
                graph, node, name, release, gpu=gpu
            ):
                return (
                    f"MatMul {node.name} of a value that is transposed and cast, which crashes it"
                )
    return None


def _is_recast(graph: Graph, node: Node, name: str, release: Release, *, gpu: bool) -> bool:
    """Say whether an operand is such a Transpose, cast."""
    if node.types.get("T") == "float16" and not gpu:
        made = graph.maker(name, "Transpose")
        return (
            release.minor >= _SINCE_HALVES
            and mismatch(node, release, "cpu") is not None
            and made is not None
            and _moves_first(made)
            and _stays_half(graph, made, release)
            and any(_casts_weights(each, release) for each in graph.nodes)
        )
    cast = graph.maker(name, "Cast")
    if cast is None or (None in graph.readers[name] and release.minor >= _KEPT_OUTPUTS):
        return False
    made = graph.maker(cast.proto.input[0], "Transpose")
    return made is not None and _moves_first(made) and not _is_output(graph, made)


def _may_be_fused(graph: Graph, node: Node, other: str, name: str) -> bool:
    """Say whether the other operand is as the fusion wants it: of that rank, or transposed too."""
    ranks = {_rank(node, each) for each in (name, other)}
    return (len(ranks) == 1 and None not in ranks) or any(
        graph.maker(each, "Transpose") for each in (other, *_before_cast(graph, other))
    )


def _before_cast(graph: Graph, name: str) -> Iterator[str]:
    cast = graph.maker(name, "Cast")
    yield from () if cast is None else cast.proto.input


def _rank(node: Node, name: str) -> int | None:
    tensor = node.scope[name].tensor_type if name in node.scope else None
    return len(tensor.shape.dim) if tensor is not None and tensor.HasField("shape") else None


def _moves_first(node: Node) -> bool:
    """Say whether a permutation puts the first axis last, or last but one."""
    perm = [*attributes(node.proto).get("perm", ())]
    rank = len(perm)
    return rank > 2 and perm in ([*range(1, rank), 0], [*range(1, rank - 1), 0, rank - 1])


def _is_output(graph: Graph, node: Node) -> bool:
    return None in graph.readers.get(node.proto.output[0], ())


def _stays_half(graph: Graph, node: Node, release: Release) -> bool:
    """Say whether a node computes in half floats: it does not where all around it is cast.

    Source: `insert_cast_transformer.cc` (IsIsolatedFp16NodeOnCpu).
    """
    maker = graph.makers.get(node.proto.input[0])
    if _is_output(graph, node):
        return False
    readers = graph.readers[node.proto.output[0]]
    around = [maker, *readers]
    return any(each is None or mismatch(each, release, "cpu") is None for each in around)


def _casts_weights(node: Node, release: Release) -> bool:
    """Say whether weights of a node are cast, after which ONNX Runtime optimizes once more."""
    if node.types.get("T") != "float16" or mismatch(node, release, "cpu") is None:
        return False
    weights = {tensor.name for tensor in node.graph.initializer}
    constants = {each.output[0] for each in node.graph.node if each.op_type == "Constant"}
    return not (weights | constants).isdisjoint(node.proto.input)
