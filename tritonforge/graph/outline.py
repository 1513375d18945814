"""A graph as a tree by the scopes in its nodes' names, in which what repeats stands once.

Scopes come from what exporters write: `/layer1/layer1.0/conv1/Conv`, or torch's own
`pkg.torch.onnx.name_scopes`. What only computes shapes and constants is put together, and its
weights are counted where they are used.
"""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from onnx import GraphProto, NodeProto, TypeProto

from tritonforge.errors import GraphError
from tritonforge.graph import cost, schemas
from tritonforge.graph.examined import examine
from tritonforge.graph.repeats import repeats
from tritonforge.graph.typed import Node, type_of

_SCOPES = "pkg.torch.onnx.name_scopes"
_PLUMBING = "constants, shapes"
_DIGITS = re.compile(r"\d+")
_SOURCES = {"Constant", "Shape", "Size"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A node, or a scope with what is in it; numbers are sums over all repetitions.

    `domain` is that of a single node. `gives` is the type of the first output, of a scope that of
    its last node. `uncounted` is how many nodes have no known cost.
    """

    label: str
    op: str = ""
    domain: str = ""
    gives: str = ""
    nodes: int = 1
    flops: int = 0
    uncounted: int = 0
    bytes: int = 0
    times: int = 1
    parts: tuple["Outline", ...] = ()


@dataclass(slots=True)
class _Scope:
    """A scope while it is filled; a node with subgraphs is one too, `own` being itself."""

    own: Outline
    parts: dict[str, "_Scope"] = field(default_factory=dict)


def outline(path: Path, sizes: Mapping[str, int] | None = None) -> Outline:
    """Read a file and lay out its graph. Raises `GraphError`."""
    found = examine(path, sizes or {})
    if not found.nodes:
        raise GraphError(f"{path} has no nodes", hint="it passes its inputs through")
    root = _Scope(Outline(label=path.name, nodes=0))
    weights = _Weights(found.graph)
    holders: list[tuple[str, ...]] = []
    for index, (node, flops) in enumerate(zip(found.nodes, found.flops, strict=True)):
        del holders[len(node.path) :]
        where = (*holders[-1], node.branches[-1]) if holders else ()
        where = (*where, *_scopes(node.proto), f"#{index}")
        _place(root, where, _leaf(node, flops, weights))
        holders.append(where)
    return _laid_out(root)


class _Weights:
    """Who uses which weights: they pass through what only computes constants to the first user."""

    def __init__(self, graph: GraphProto) -> None:
        self._owed = dict(_initializers(graph))

    def plumbing(self, node: Node) -> bool:
        """Say whether a node follows from constants and shapes alone, and pass its weights on."""
        given = [name for name in node.proto.input if name]
        known = given and all(name in self._owed for name in given)
        if next(schemas.graphs_in(node.proto), None) or not (known or node.op in _SOURCES):
            return False
        held = sum(cost.size_of(each.t) for each in node.proto.attribute if each.HasField("t"))
        held += self.taken(node)
        self._owed |= dict.fromkeys(filter(None, node.proto.output), 0)
        self._owed[node.proto.output[0]] = held
        return True

    def taken(self, node: Node) -> int:
        """Return the bytes of a node's weights that nobody has used before it."""
        found = 0
        for name in node.proto.input:
            if name in self._owed:
                found += self._owed[name]
                self._owed[name] = 0
        return found


def _initializers(graph: GraphProto) -> Iterable[tuple[str, int]]:
    """Yield the names and bytes of the weights of a graph and the graphs in it."""
    yield from ((tensor.name, cost.size_of(tensor)) for tensor in graph.initializer)
    for node in graph.node:
        for inner in schemas.graphs_in(node):
            yield from _initializers(inner)


def _leaf(node: Node, flops: int | None, weights: _Weights) -> Outline:
    """Describe a node."""
    plumbing = weights.plumbing(node)
    name = "" if _torch_scopes(node.proto) else node.proto.name.rsplit("/", 1)[-1]
    made_up = not name or node.op.lower() in name.lower()
    return Outline(
        label=_PLUMBING if plumbing else node.op if made_up else f"{node.op} {name}",
        op="" if plumbing else node.op,
        domain="" if plumbing else node.domain,
        gives="" if plumbing else _written(node.scope.get(next(iter(node.proto.output), ""))),
        flops=flops or 0,
        uncounted=int(flops is None),
        bytes=0 if plumbing else weights.taken(node),
    )


def _written(known: TypeProto | None) -> str:
    """Write a type as `float 1x64x112x112`, a question mark for what is not known."""
    if known is None:
        return "?"
    written = type_of(known) or "?"
    if known.WhichOneof("value") != "tensor_type":
        return written
    if not known.tensor_type.HasField("shape"):
        return f"{written} ?"
    sizes = (
        str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in known.tensor_type.shape.dim
    )
    return f"{written} {'x'.join(sizes)}".strip()


def _torch_scopes(proto: NodeProto) -> Sequence[str]:
    """Return the scopes that torch's exporter notes, the node's own name left out."""
    for entry in proto.metadata_props:
        if entry.key == _SCOPES:
            try:
                told = ast.literal_eval(entry.value)
            except (ValueError, SyntaxError):
                return ()
            return [str(each) for each in told[:-1] if each] if isinstance(told, list) else ()
    return ()


def _scopes(proto: NodeProto) -> tuple[str, ...]:
    """Return the scopes that a node lies in, the outermost first, without their parents' names."""
    told = _torch_scopes(proto) or [each for each in proto.name.split("/")[:-1] if each]
    outer = ["", *told]
    return tuple(
        name.removeprefix(f"{parent}.") or name
        for parent, name in zip(outer, told, strict=False)
        if name != parent
    )


def _place(root: _Scope, where: Sequence[str], own: Outline) -> None:
    """Put a node into its scope; what computes only constants and shapes is put together there."""
    at = root
    for name in where[:-1]:
        at = at.parts.setdefault(name, _Scope(Outline(label=name, nodes=0)))
    key = _PLUMBING if own.label == _PLUMBING else where[-1]
    if key in at.parts:
        own = _sum(at.parts[key].own, [at.parts[key].own, own])
    at.parts[key] = _Scope(own)


def _laid_out(scope: _Scope) -> Outline:
    """Return a scope with sums, what repeats put together and what holds one thing put into it."""
    if not scope.parts:
        return scope.own
    parts = _alike([_laid_out(each) for each in scope.parts.values()])
    whole = replace(_sum(scope.own, [scope.own, *parts]), parts=tuple(parts))
    real = [each for each in parts if each.label != _PLUMBING]
    if not real:
        return replace(whole, label=_PLUMBING, gives="", parts=())
    if len(real) > 1 or real[0].times > 1 or scope.own.op:
        gives = scope.own.gives or real[-1].gives
        return replace(whole, gives=gives)
    return replace(
        real[0],
        label=f"{scope.own.label}/{real[0].label}",
        **{name: getattr(whole, name) for name in ("nodes", "flops", "uncounted", "bytes")},
    )


def _sum(like: Outline, parts: Iterable[Outline]) -> Outline:
    """Return one like it with the sums of parts."""
    known = list(parts)
    return replace(
        like,
        nodes=sum(each.nodes for each in known),
        flops=sum(each.flops for each in known),
        uncounted=sum(each.uncounted for each in known),
        bytes=sum(each.bytes for each in known),
    )


def _alike(parts: list[Outline]) -> list[Outline]:
    """Put plumbing together, then runs of parts that repeat."""
    plumbing = [each for each in parts if each.label == _PLUMBING]
    if plumbing:
        rest = [each for each in parts if each.label != _PLUMBING]
        parts = [_sum(plumbing[0], plumbing), *rest]
    found = []
    for start, length, times in repeats([_likeness(each) for each in parts]):
        runs = [parts[start + index :: length][:times] for index in range(length)]
        merged = tuple(_merged(run) for run in runs)
        if times == 1 or length == 1:
            found += [replace(each, times=each.times * times) for each in merged]
        else:
            label = f"{length} in a row"
            whole = _sum(Outline(label=label, gives=merged[-1].gives), merged)
            found.append(replace(whole, times=times, parts=merged))
    return found


def _merged(run: Sequence[Outline]) -> Outline:
    """Return what is alike as one, its sums and those of its parts added up."""
    first, last = run[0], run[-1]
    if len(run) == 1:
        return first
    label = first.label if first.label == last.label else f"{first.label} … {last.label}"
    if first.op:
        label = first.label.split(" ")[0]
    every = [each for part in run for each in part.parts if each.label == _PLUMBING]
    plumbing = [_sum(every[0], every)] if every else []
    rest = ([each for each in part.parts if each.label != _PLUMBING] for part in run)
    parts = (*plumbing, *(_merged(each) for each in zip(*rest, strict=True)))
    return replace(_sum(first, run), label=label, parts=parts)


def _likeness(part: Outline) -> Any:
    """Return what is equal for parts that repeat: numbers in names and plumbing aside."""
    label = part.label.split(" ")[0] if part.op and not part.parts else part.label
    inner = tuple(_likeness(each) for each in part.parts if each.label != _PLUMBING)
    return _DIGITS.sub("#", label), part.op, part.domain, part.gives, part.times, inner
