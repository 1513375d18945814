"""What ONNX Runtime's own operators take in each release: read from `data/contrib.json`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from onnx.defs import OpSchema

from tritonforge.graph import schemas as standard_schemas

_OPTION = OpSchema.FormalParameterOption
_OPTIONS = (_OPTION.Single, _OPTION.Optional, _OPTION.Variadic)  # by their numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """An attribute's type, as `AttributeProto.type` has it, and whether a node must give it."""

    type: int
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One input or output; the names are those of ONNX's `OpSchema.FormalParameter`.

    `types` are those it may be of, such as `tensor(float)`.
    """

    name: str
    type_str: str
    option: Any
    is_homogeneous: bool
    types: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a node of an operator is held against; the names are those of ONNX's `OpSchema`."""

    attributes: Mapping[str, Attribute]
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]
    min_input: int
    max_input: int
    min_output: int
    max_output: int


@cache
def schema(runtime: str, domain: str, op: str, opset: int) -> Schema | None:
    """Return an operator of an ONNX Runtime such as `1.19.2`, None of one that it does not define.

    Some were withdrawn from ONNX's domain at some opset. Before 1.16, the first that is known, it
    is that one's: what it lacks an older one lacks too.
    """
    table = _table()
    minor = tuple(map(int, runtime.split(".")[:2]))
    known = [tuple(map(int, each.split("."))) for each in table["runtimes"]]
    index = known.index(max(minor, known[0]))
    for *row, end, first, last in table["schemas"].get(f"{domain} {op}", ()):
        if first <= index <= last and (end is None or opset < end):
            return _schema(*row)
    return None


@cache
def standard(domain: str, op: str, opset: int) -> Schema | None:
    """Return an operator of ONNX's in the same shape: to ask ONNX's own copies it each time."""
    known = standard_schemas.schema(domain, op, opset)
    if known is None:
        return None

    def parameters(formals: Any) -> tuple[Parameter, ...]:
        return tuple(
            Parameter(
                name=each.name,
                type_str=each.type_str,
                option=each.option,
                is_homogeneous=each.is_homogeneous,
                types=frozenset(each.types),
            )
            for each in formals
        )

    return Schema(
        attributes={
            name: Attribute(type=int(each.type), required=each.required)
            for name, each in known.attributes.items()
        },
        inputs=parameters(known.inputs),
        outputs=parameters(known.outputs),
        min_input=known.min_input,
        max_input=known.max_input,
        min_output=known.min_output,
        max_output=known.max_output,
    )


def newest(domain: str, op: str) -> Schema | None:
    """Return an operator as the newest ONNX Runtime has it, None of one that this does not define.

    One that was withdrawn from ONNX's domain is none.
    """
    last = len(_table()["runtimes"]) - 1
    for *row, end, _, until in _table()["schemas"].get(f"{domain} {op}", ()):
        if until == last and end is None:
            return _schema(*row)
    return None


def schemas() -> Iterator[tuple[str, str, Schema]]:
    """Yield domain and operator of everything that any ONNX Runtime defines, as each has it."""
    for key, rows in _table()["schemas"].items():
        domain, op = key.split()
        for *row, _, _, _ in rows:
            yield domain, op, _schema(*row)


def _schema(
    attributes: dict[str, list[Any]],
    inputs: list[list[Any]],
    outputs: list[list[Any]],
    arity: list[int],
    types: dict[str, int],
) -> Schema:
    sets = {name: frozenset(_table()["types"][number]) for name, number in types.items()}

    def parameters(rows: list[list[Any]]) -> tuple[Parameter, ...]:
        return tuple(
            Parameter(
                name=name,
                type_str=type_str,
                option=_OPTIONS[option],
                is_homogeneous=homogeneous,
                types=sets.get(type_str, frozenset({type_str})),
            )
            for name, type_str, option, homogeneous in rows
        )

    least_in, most_in, least_out, most_out = arity
    return Schema(
        attributes={
            name: Attribute(type=kind, required=required)
            for name, (kind, required) in attributes.items()
        },
        inputs=parameters(inputs),
        outputs=parameters(outputs),
        min_input=least_in,
        max_input=most_in,
        min_output=least_out,
        max_output=most_out,
    )


@cache
def _table() -> Any:
    """Read the data file once."""
    return json.loads(files("tritonforge").joinpath("data/contrib.json").read_text("utf-8"))
