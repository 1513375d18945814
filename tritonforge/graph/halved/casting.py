"""Values that are read as floats and as half floats: where a Cast stands between."""

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from tritonforge.graph.halved.halving import HALF
from tritonforge.graph.halved.rounded import LARGEST, rounded
from tritonforge.graph.typed import Node

_CLIP_OF_INPUTS = 11  # the opset from which Clip takes its ends as inputs
_TOLD = 3  # names in a note


@dataclass(slots=True, kw_only=True)
class Value:
    """A tensor of floats: `made` is what it is now, `other` its name as the other kind of float.

    `nodes` are those of its graph so far. What is `exact` was computed of whole numbers alone.
    `wide` may lie beyond half floats. A weight is read as what is asked for.
    """

    nodes: list[NodeProto]
    name: str
    made: int
    other: str | None = None
    weight: TensorProto | None = None
    is_read: bool = False
    exact: bool = False
    wide: bool = False


@dataclass(slots=True, kw_only=True)
class State:
    """What is gathered while graphs are rewritten: `nodes` are those to come, in their order."""

    nodes: Iterator[Node]
    keep: Container[str]
    opset: int
    names: set[str]
    renamed: dict[str, str] = field(default_factory=dict)
    clipped: Counter[str] = field(default_factory=Counter)
    flushed: Counter[str] = field(default_factory=Counter)
    staying: Counter[str] = field(default_factory=Counter)
    computing: int = 0


def recast(value: Value, want: int, state: State) -> str:
    """Return the name of a value as a float or a half float, after a Cast where there is none."""
    if want == value.made:
        value.is_read = True
        return value.name
    if value.other is not None:
        return value.other
    value.other = free(f"{value.name}_{'half' if want == HALF else 'float'}", state)
    if value.weight is not None:
        return value.other
    source = value.name
    if value.wide and want == HALF:
        source = _clipped(value, state)
    name = f"{value.other}_cast"
    value.nodes.append(helper.make_node("Cast", [source], [value.other], name, to=want))
    return value.other


def _clipped(value: Value, state: State) -> str:
    """Bring a value into the range of half floats; return its name."""
    name = free(f"{value.name}_clipped", state)
    if state.opset < _CLIP_OF_INPUTS:
        value.nodes.append(
            helper.make_node("Clip", [value.name], [name], name, min=-LARGEST, max=LARGEST)
        )
        return name
    inputs = [value.name]
    for what, end in (("least", -LARGEST), ("most", LARGEST)):
        inputs.append(free(f"{name}_{what}", state))
        tensor = numpy_helper.from_array(np.array(end, np.float32))
        node = helper.make_node("Constant", [], [inputs[-1]], inputs[-1], value=tensor)
        value.nodes.append(node)
    value.nodes.append(helper.make_node("Clip", inputs, [name], name))
    return name


def finish(graph: GraphProto, value: Value, state: State, *, kept: bool) -> None:
    """Make a half float of a weight, beside the float where that is read, too."""
    if value.weight is None or value.other is None:
        return
    found = rounded(value.weight)
    half = found.tensor
    state.clipped[half.name] += found.clipped
    state.flushed[half.name] += found.flushed
    if kept:
        half.name = value.other
        graph.initializer.append(half)
    else:
        state.renamed[value.other] = value.name
        value.weight.CopyFrom(half)


def notes(state: State) -> Iterator[str]:
    """Say what did not go without loss, and what stays in float."""
    if state.clipped.total():
        yield f"{_told(state.clipped)} beyond half floats, and cut off at ±65504"
    if state.flushed.total():
        yield f"{_told(state.flushed)} too small for half floats, and 0 or 6e-8"
    if count := state.staying.total():
        kinds = ", ".join(f"{op} ×{often}" for op, often in sorted(state.staying.items()) if often)
        yield f"{count} of {state.computing} nodes that give floats stay in float32: {kinds}"


def _told(values: Counter[str]) -> str:
    """Count values, and name a few of the weights that hold them."""
    names = [name for name, count in values.most_common() if count]
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    count = values.total()
    held = ", ".join(map(repr, names[:_TOLD]))
    return f"{count} value{'s' * (count > 1)} of {held}{more} {'are' if count > 1 else 'is'}"


def free(name: str, state: State) -> str:
    """Return a name that nothing has, and take it."""
    found, again = name, 1
    while found in state.names:
        found, again = f"{name}_{again}", again + 1
    state.names.add(found)
    return found
