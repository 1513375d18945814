"""What a model would lose at another opset: its nodes judged as if they were of that one."""

from collections.abc import Sequence
from dataclasses import replace

from tritonforge.graph import schemas
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import Node, Resolved, bound
from tritonforge.placement import tensorrt
from tritonforge.placement.cuda import exception
from tritonforge.placement.matching import mismatch
from tritonforge.release import Release
from tritonforge.spec import ON_GPU, Accelerator


def supposed(
    given: Resolved, release: Release, accelerator: Accelerator, opset: int
) -> tuple[str, ...] | None:
    """Return the operators of the nodes that the chosen provider would lose at an opset, each time.

    What a node computes may be written otherwise there; only its kernels are asked for. Shapes that
    stay on the host are no loss. None where an operator would have no kernel at all, or
    TensorRT does not know the opset.
    """
    members = [_at(node, opset) for node in given.nodes if node.op != "Constant"]
    if any(node is None or not _runs(node, release, accelerator) for node in members):
        return None
    there = [node for node in members if node is not None]
    lost: Sequence[Node] = ()
    if accelerator == "tensorrt":
        if opset > tensorrt.newest_opset(tensorrt.parser_of(release)):
            return None
        outside = tensorrt.left(there, release)
        lost = [node for node in there if id(node) in outside]
    elif accelerator == "cuda":
        lost = [node for node in there if _is_left(node, release)]
    return tuple(node.op for node in lost)


def _at(node: Node, opset: int) -> Node | None:
    """Return a node as of another opset, None where its operator does not exist there."""
    if node.domain != MAIN:
        return node
    known = schemas.schema(MAIN, node.op, opset)
    if known is None:
        return None
    types = bound(node.proto, known, node.scope)
    return replace(node, opset=opset, schema=known, types=types)


def _is_left(node: Node, release: Release) -> bool:
    """Say whether CUDA leaves a node to the CPU; what that has no kernel for is written out."""
    missing = mismatch(node, release, "cuda") or exception(node)
    return missing is not None and mismatch(node, release, "cpu") is None


def _runs(node: Node, release: Release, accelerator: Accelerator) -> bool:
    """Say whether a node has any kernel, or stands for other operators."""
    if accelerator in ON_GPU and mismatch(node, release, "cuda") is None:
        return True
    known = node.schema
    if known is not None and (known.has_function or known.has_context_dependent_function):
        return True
    return mismatch(node, release, "cpu") is None
