"""Where a graph goes from one provider to another: islands of nodes, and values that are copied."""

from collections.abc import Mapping, Sequence

from tritonforge.graph.typed import Node
from tritonforge.placement import cuda


def islands(nodes: Sequence[Node], providers: Sequence[str]) -> int:
    """Count the parts of a graph, in the file's order, that one provider can run without a break.

    Nodes of a provider belong together where they are connected and no path between them leaves it.
    """
    made: dict[str, int] = {}
    depth: list[int] = []
    roots: list[int] = []
    for index, node in enumerate(nodes):
        before = [made[name] for name in node.proto.input if name in made]
        depth.append(
            max((depth[at] + (providers[at] != providers[index]) for at in before), default=0)
        )
        roots.append(index)
        for at in before:
            if depth[at] == depth[index] and providers[at] == providers[index]:
                roots[_root(roots, at)] = _root(roots, index)
        made |= dict.fromkeys(node.proto.output, index)
    return len({_root(roots, index) for index in range(len(roots))})


def _root(roots: list[int], index: int) -> int:
    """Follow a part to what stands for it, and shorten the way."""
    while roots[index] != index:
        roots[index] = roots[roots[index]]
        index = roots[index]
    return index


def copies(nodes: Sequence[Node], providers: Sequence[str], weights: Mapping[str, int]) -> int:
    """Count the values that a run copies between host and GPU inside the graph.

    A value is copied once a direction. Weights are on both sides from the start. An input of the
    graph is the caller's to bring, and is copied only where both sides read it.
    """
    on_host: dict[str, bool] = {}
    read: dict[str, set[bool]] = {}
    for node, provider in zip(nodes, providers, strict=True):
        host, partly = provider == "cpu", provider == "cuda"
        for index, name in enumerate(node.proto.input):
            if name and name not in weights:
                there = host or (partly and cuda.reads_on_host(node, index))
                read.setdefault(name, set()).add(there)
        there = host or (partly and cuda.writes_on_host(node))
        on_host |= dict.fromkeys(node.proto.output, there)
    return sum(
        len(sides) > 1 if name not in on_host else (not on_host[name]) in sides
        for name, sides in read.items()
    )
