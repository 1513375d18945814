"""What TensorRT takes: the operators of its parser, and the rules of ONNX Runtime's provider.

Sources: the tables of onnx-tensorrt, see `data/tensorrt.json`; onnxruntime
`tensorrt_execution_provider.cc` (GetCapability).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from onnx import TensorProto

from tritonforge.errors import SpecError
from tritonforge.graph.schemas import MAIN, attributes
from tritonforge.graph.typed import Node, element, type_of
from tritonforge.placement.matching import Reason
from tritonforge.release import Release

_CONTROL = {"If", "Loop", "Scan"}
# Their outputs' sizes depend on values; ONNX Runtime 1.20 keeps them from TensorRT.
_DATA_DEPENDENT = {"NonMaxSuppression", "NonZero", "RoiAlign"}
_KEPT_OUT = (1, 20)
# As the parser's tables write types.
_TYPES = {
    "float": "FP32",
    "float16": "FP16",
    "bfloat16": "BF16",
    "double": "DOUBLE",
    "bool": "BOOL",
    "int4": "INT4",
    "uint4": "INT4",
    "int8": "INT8",
    "uint8": "UINT8",
    "int32": "INT32",
    "int64": "INT64",
    "float8e4m3fn": "FP8",
    "float4e2m1": "FP4",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What a parser says of an operator: types of its data, and what restricts it, in words."""

    types: frozenset[str]
    restriction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """How sure a forecast for TensorRT is.

    `source` says how its version is known, see `Release`; `read` that the parser's table was read,
    else it was taken from the version before; `newest_opset` is the highest that the parser was
    made for; `restricted` gives operators that it takes with restrictions in words: nobody checks
    them here.
    """

    parser: str
    source: str
    read: bool
    newest_opset: int
    restricted: Mapping[str, str]


def operator(parser: str, op: str) -> Operator | None:
    """Return what the parser of a TensorRT such as `10.4` says of an operator; None: not taken."""
    table = _table()
    index = [*table["parsers"]].index(parser)
    for first, last, types, restriction in table["operators"].get(op, ()):
        if first <= index <= last:
            return Operator(types=frozenset(types), restriction=restriction)
    return None


def parses(parser: str, op: str) -> bool:
    """Say whether the parser of a TensorRT takes an operator at all."""
    return operator(parser, op) is not None


def newest_opset(parser: str) -> int:
    """Return the highest opset that a parser was made for."""
    return int(_table()["parsers"][parser][1])


def parser_of(release: Release) -> str:
    """Return the TensorRT whose parser foretells a release's; raises `SpecError` without one."""
    if release.parser is None:
        raise SpecError(
            f"the TensorRT of {release.tag} is not known",
            hint="name an NGC tag: --target 24.10",
        )
    return release.parser


def certainty(release: Release, operators: Iterable[str]) -> Certainty:
    """Say what a forecast for these operators stands on; raises `SpecError` as `parser_of`."""
    parser = parser_of(release)
    _, newest, read = _table()["parsers"][parser]
    known = {op: operator(parser, op) for op in operators}
    return Certainty(
        parser=parser,
        source=release.parser_source or "guessed",
        read=read,
        newest_opset=newest,
        restricted={
            op: each.restriction for op, each in known.items() if each and each.restriction
        },
    )


def left(nodes: Sequence[Node], release: Release) -> dict[int, Reason]:
    """Return which nodes TensorRT leaves to the next provider, by their `id`, and why.

    A branch or loop is taken with all that is in it or not at all. Raises `SpecError` for a release
    whose TensorRT is not known.
    """
    parser = parser_of(release)
    found: dict[int, Reason] = {}
    open_paths: set[tuple[str, ...]] = set()  # of graphs that are not taken whole
    for node in sorted(nodes, key=lambda each: -len(each.path)):
        reason = _outside_parser(node, parser, release)
        if reason is None and node.op in _CONTROL and (*node.path, node.name) in open_paths:
            reason = Reason(kind="subgraph", text=f"{node.op} holds what TensorRT does not take")
        if reason is not None:
            found[id(node)] = reason
            open_paths.add(node.path)
    return found


def taken(nodes: Sequence[Node], release: Release) -> set[int]:
    """Return the nodes that TensorRT has, by their `id`; raises as `left`."""
    return {id(node) for node in nodes} - left(nodes, release).keys()


def _outside_parser(node: Node, parser: str, release: Release) -> Reason | None:
    """Say why the parser does not take a node, None where it does."""
    known = operator(parser, node.op) if node.domain == MAIN else None
    if known is None:
        return Reason(kind="parser", text=f"TensorRT {parser} has no {node.op}")
    if node.op in _DATA_DEPENDENT and release.minor == _KEPT_OUT:
        text = f"ONNX Runtime {'.'.join(map(str, _KEPT_OUT))} keeps {node.op} from TensorRT"
        return Reason(kind="parser", text=text)
    foreign = [each for each in _data_types(node) if known.types and each not in known.types]
    if foreign:
        text = f"TensorRT {parser} has no {node.op} of {foreign[0]}"
        return Reason(kind="parser", text=text)
    return None


def _data_types(node: Node) -> list[str]:
    """Return the types that a parser's table is about: of the data that goes in, of a Cast both."""
    at = 1 if node.op == "Where" else 0
    names = node.proto.input[at : at + 1]
    types = [type_of(node.scope[name]) for name in names if name in node.scope]
    if node.op == "Cast":
        to = attributes(node.proto).get("to", TensorProto.UNDEFINED)
        types.append(element(to))
    return [_TYPES.get(each, each) for each in types if each]


@cache
def _table() -> Any:
    """Read the data file once."""
    return json.loads(files("tritonforge").joinpath("data/tensorrt.json").read_text("utf-8"))
