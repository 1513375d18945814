"""What a model would lose at another opset: its nodes judged as if they were of that one."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tritonforge.graph import schemas
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import Node, Resolved, UnsoundError, bound
from tritonforge.placement import exceptions, tensorrt
from tritonforge.placement.cuda import exception
from tritonforge.placement.inlining import inlined
from tritonforge.placement.matching import has_kernel, mismatch
from tritonforge.placement.verdict import matches
from tritonforge.release import Release
from tritonforge.spec import Accelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """What a model would be at another opset: of how many nodes, and whose provider is lost.

    `lost` names the operator of each; shapes that stay on the host are no loss.
    """

    nodes: int
    lost: tuple[str, ...]


def supposed(
    given: Resolved, release: Release, accelerator: Accelerator, opset: int
) -> Supposed | None:
    """Return what a model would be at an opset, its nodes counted as they would be placed.

    What a node computes may be written otherwise there; only its kernels are asked for. None where
    an operator would have no kernel at all, or TensorRT does not know the opset.
    """
    if accelerator == "tensorrt" and opset > tensorrt.newest_opset(tensorrt.parser_of(release)):
        return None
    members = [*_members(given, release, accelerator, opset)]
    if any(node is None or not _runs(node, release, accelerator) for node in members):
        return None
    there = [node for node in members if node is not None]
    lost: Sequence[Node] = ()
    if accelerator == "tensorrt":
        outside = tensorrt.left(there, release)
        lost = [node for node in there if id(node) in outside]
    elif accelerator == "cuda":
        lost = [node for node in there if _is_left(node, release)]
    return Supposed(nodes=len(there), lost=tuple(node.op for node in lost))


def _members(
    given: Resolved, release: Release, accelerator: Accelerator, opset: int
) -> Iterator[Node | None]:
    """Yield the nodes as of an opset, None for what it lacks; bodies stand for them as in place."""

    def has_none(node: Node) -> bool:
        there = _at(node, opset)
        return there is not None and not has_kernel(there, release, accelerator)

    with suppress(UnsoundError):  # else each counts as the one node that it is
        given, _ = inlined(given, has_none, first=exceptions.has_first_body(release))
    yield from (_at(node, opset) for node in given.nodes if node.op != "Constant")


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
    return missing is not None and matches(node, release, cast=True)


def _runs(node: Node, release: Release, accelerator: Accelerator) -> bool:
    """Say whether a node has any kernel, or stands for other operators."""
    known = node.schema
    if known is not None and (known.has_function or known.has_context_dependent_function):
        return True
    return has_kernel(node, release, accelerator) or matches(node, release, cast=True)
