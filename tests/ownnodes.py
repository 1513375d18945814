"""Nodes of ONNX Runtime's own operators: with all that a release's schema names, and otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import foreseen
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from tritonforge.graph import contrib
from tritonforge.graph.contrib import Parameter, Schema

_NUMBERS = {
    **{f"tensor({name.lower()})": number for name, number in TensorProto.DataType.items()},
    "tensor(double)": TensorProto.DOUBLE,
}
_FOREIGN = ("tensor(double)", "tensor(int16)", "tensor(string)", "tensor(float)")
_OPSETS = {"ai.onnx": 9, "com.microsoft": 17}  # some in ONNX's domain end at opset 10
_VALUES: Mapping[int, Any] = {
    AttributeProto.FLOAT: 1.0,
    AttributeProto.INT: 1,
    AttributeProto.STRING: "x",
    AttributeProto.FLOATS: [1.0],
    AttributeProto.INTS: [1],
    AttributeProto.STRINGS: ["x"],
}


def own_nodes(path: Path, *, step: int = 1) -> tuple[foreseen.Stamped, ...]:
    """Write models of one such node to a file, every `step`-th."""
    found, known = [], set[bytes]()
    with path.open("wb") as models:
        for number, (name, opset, model) in enumerate(_models()):
            data = model.SerializeToString()
            if number % step or data in known:
                continue
            known.add(data)
            at = models.tell()
            models.write(data)
            named = {"name": name, "opset": opset, "ir": foreseen.IR}
            found.append(foreseen.Stamped(**named, path=path, place=at, length=len(data)))
    return tuple(found)


def _models() -> Iterator[tuple[str, int, ModelProto]]:
    for domain, op, schema in contrib.schemas():
        for what, proto, types in _variants(domain, op, schema):
            if None not in types.values():
                opset = _OPSETS[domain]
                yield f"{op} with {what}", opset, _model(proto, types, opset)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operator:
    """An operator as a release has it; `least` are the inputs it needs, `needed` its attributes."""

    domain: str
    name: str
    schema: Schema
    least: Sequence[Parameter]
    needed: Mapping[str, Any]

    def node(
        self,
        inputs: Sequence[Parameter | None] | None = None,
        attributes: Mapping[str, Any] | None = None,
        outputs: int = 0,
        types: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[NodeProto, dict[str, int | None]]:
        """Return a node and the types of its inputs."""
        given = self.least if inputs is None else inputs
        names = [f"i{index}" if each else "" for index, each in enumerate(given)]
        made = [f"o{index}" for index in range(outputs or max(1, self.schema.min_output))]
        values = self.needed if attributes is None else attributes
        proto = helper.make_node(self.name, names, made, domain=self.domain, **values)
        known = _usual(self.schema) | types
        return proto, {
            name: _NUMBERS.get(known.get(each.type_str, each.type_str))
            for name, each in zip(names, given, strict=True)
            if each
        }


_Variant = tuple[str, NodeProto, dict[str, int | None]]


def _variants(domain: str, op: str, schema: Schema) -> Iterator[_Variant]:
    """Yield a node as its schema has it at least, and with one thing more, less or otherwise."""
    needed = {
        name: _VALUES.get(each.type) for name, each in schema.attributes.items() if each.required
    }
    if None not in needed.values():
        least = schema.inputs[: max(1, schema.min_input)]
        each = _Operator(domain=domain, name=op, schema=schema, least=least, needed=needed)
        yield "the least", *each.node()
        yield from _typed(each)
        yield from _attributed(each)
        yield from _counted(each)


def _typed(each: _Operator) -> Iterator[_Variant]:
    """Yield it with every type that it takes, and some that it does not."""
    for parameter in sorted({formal.type_str for formal in each.schema.inputs}):
        taken = next(formal.types for formal in each.schema.inputs if formal.type_str == parameter)
        for kind in [*sorted(taken), *[kind for kind in _FOREIGN if kind not in taken][:2]]:
            yield f"{parameter} {kind}", *each.node(types={parameter: kind})


def _attributed(each: _Operator) -> Iterator[_Variant]:
    """Yield it without an attribute that it needs, or with one that it does not."""
    for name, formal in each.schema.attributes.items():
        value = _VALUES.get(formal.type)
        if formal.required:
            rest = {other: value for other, value in each.needed.items() if other != name}
            yield f"no {name}", *each.node(attributes=rest)
        elif value is not None:
            yield name, *each.node(attributes={**each.needed, name: value})


def _counted(each: _Operator) -> Iterator[_Variant]:
    """Yield it with more and with fewer inputs and outputs."""
    schema, least = each.schema, each.least
    for count in range(min(schema.max_input, len(schema.inputs)) + 2):
        given = [*schema.inputs, *schema.inputs[-1:] * 2][:count]
        yield f"{count} inputs", *each.node(given)
    for index, formal in enumerate(schema.inputs[len(least) :], len(least)):
        yield formal.name, *each.node([*least, *[None] * (index - len(least)), formal])
    for count in range(1, min(schema.max_output, len(schema.outputs)) + 2):
        yield f"{count} outputs", *each.node(outputs=count)


def _usual(schema: Schema) -> dict[str, str]:
    """Return floats for each type parameter where it takes them, else what comes first."""
    return {
        each.type_str: "tensor(float)" if "tensor(float)" in each.types else min(each.types)
        for each in schema.inputs
    }


def _model(proto: NodeProto, types: Mapping[str, int | None], opset: int) -> ModelProto:
    inputs = [
        helper.make_tensor_value_info(name, kind, None) for name, kind in types.items() if kind
    ]
    outputs = [ValueInfoProto(name=name) for name in proto.output]
    graph = helper.make_graph([proto], "own", inputs, outputs)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=foreseen.IR)
