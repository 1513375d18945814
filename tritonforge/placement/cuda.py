"""What the CUDA provider takes: kernels, its own exceptions, and shapes computed on the host.

Sources: onnxruntime `cuda_execution_provider.cc` (GetCapability), `fallback_cpu_capability.cc`
(GetCpuPreferredNodes), and the memory types in the registrations under `core/providers/cuda`.
"""

from collections.abc import Container, Mapping, Sequence
from math import prod
from types import MappingProxyType

from tritonforge.graph.ordering import reads
from tritonforge.graph.schemas import attributes
from tritonforge.graph.typed import Node, type_of
from tritonforge.placement.matching import Reason, mismatch
from tritonforge.release import Release

Place = tuple[tuple[str, ...], tuple[str, ...], str]
_SMALL = 100  # elements: a weight that does not keep shape arithmetic on the GPU
_STRING = 8  # TensorProto.STRING
_HALF = {"float16", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"}
_ACTIVATIONS = {
    "LSTM": ("sigmoid", "tanh", "tanh") * 2,
    "GRU": ("sigmoid", "tanh") * 2,
    "RNN": ("tanh",) * 2,
}
_PEEPHOLE = 7  # the input of an LSTM
_REDUCING = (
    *("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceL1", "ReduceL2"),
    *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
)
_SECOND_ON_HOST = (
    *("Reshape", "Expand", "Tile", "TopK", "Split", "SplitToSequence", "Squeeze", "Unsqueeze"),
    *("CumSum", "Trilu", "SequenceAt", "SequenceErase", "AffineGrid", "Upsample", *_REDUCING),
)
# Inputs that a CUDA kernel reads on the host, and outputs that it writes there.
_HOST_INPUTS: Mapping[str, frozenset[int]] = {
    **dict.fromkeys(_SECOND_ON_HOST, frozenset({1})),
    "Slice": frozenset({1, 2, 3, 4}),
    **dict.fromkeys(("Pad", "Resize"), frozenset({1, 2, 3})),
    "Range": frozenset({0, 1, 2}),
    "ConstantOfShape": frozenset({0}),
    **dict.fromkeys(("OneHot", "Clip", "Dropout"), frozenset({1, 2})),
    "NonMaxSuppression": frozenset({2, 3, 4}),
    "If": frozenset({0}),
    "Loop": frozenset({0, 1}),
    "SequenceInsert": frozenset({2}),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), frozenset({4})),
}
_HOST_OUTPUTS = {"Shape", "Size", "SequenceLength"}


def place(node: Node) -> Place:
    """Say which node it is, also once bodies were put in: by where it lies and what it makes."""
    return node.path, node.branches, next(filter(None, node.proto.output), "")


def left(
    nodes: Sequence[Node],
    release: Release,
    weights: Mapping[str, int],
    taken: Container[int] = (),
    settled: Mapping[Place, Reason | None] = MappingProxyType({}),
) -> dict[int, Reason]:
    """Return which nodes of one graph the CUDA provider leaves to the CPU, by their `id`, and why.

    `nodes` are in the file's order, which is topological; `weights` gives the number of elements of
    each weight; `taken` are nodes that another provider has, `settled` is what was said of a node
    before bodies were put in.
    """
    inputs = {value.name for value in nodes[0].graph.input} if nodes else set()
    host: set[str] = set()
    found: dict[int, Reason] = {}
    for node in nodes:
        if id(node) in taken:
            continue
        reads_host = not host.isdisjoint(reads(node.proto))
        if place(node) in settled:
            reason = settled[place(node)]
            if reason is None:
                continue  # it is not asked for again, nor where its outputs lie
        else:
            reason = mismatch(node, release, "cuda") or exception(node)
        if reason is None and reads_host and _belongs_to_host(node, host, inputs, weights):
            reason = Reason(kind="shape", text="computes a shape, which stays on the host")
        if reason is not None:
            found[id(node)] = reason
        if writes_on_host(node) if reason is None else reads_host:
            host |= set(node.proto.output)
    return found


def _belongs_to_host(
    node: Node, host: set[str], inputs: set[str], weights: Mapping[str, int]
) -> bool:
    """Say whether a node only computes with values on the host, which would be copied else."""
    for index, name in enumerate(node.proto.input):
        if name in node.scope and type_of(node.scope[name]) in _HALF:
            return False
        if name in inputs or (name in weights and weights[name] <= _SMALL):
            continue
        if name not in host or reads_on_host(node, index):
            return False
    return True


def reads_on_host(node: Node, index: int) -> bool:
    """Say whether the CUDA kernel of a node wants an input in the memory of the host."""
    return index in _HOST_INPUTS.get(node.op, frozenset())


def writes_on_host(node: Node) -> bool:
    """Say whether the CUDA kernel of a node leaves its output in the memory of the host."""
    return node.op in _HOST_OUTPUTS


def exception(node: Node) -> Reason | None:
    """Say which attribute the kernel does not take, None where it takes all."""
    text = None
    match node.op:
        case "LSTM" | "GRU" | "RNN":
            text = _of_recurrent(node)
        case "ConvTranspose":
            text = _of_conv_transpose(node)
        case "Cast" if attributes(node.proto).get("to") == _STRING:
            text = "Cast to text"
        case "ArgMax" | "ArgMin" if attributes(node.proto).get("select_last_index"):
            text = f"{node.op} with select_last_index"
    return None if text is None else Reason(kind="attribute", text=f"no kernel for {text}")


def _of_recurrent(node: Node) -> str | None:
    """Say what cuDNN lacks of a recurrent layer."""
    given = attributes(node.proto)
    for name in ("activation_alpha", "activation_beta", "clip"):
        if name in given:
            return f"{node.op} with {name}"
    asked = [each.decode().lower() for each in given.get("activations", ())]
    if asked != [*_ACTIVATIONS[node.op][: len(asked)]]:
        return f"{node.op} with activations {', '.join(asked)}"
    if node.op == "LSTM" and given.get("input_forget"):
        return "LSTM with input_forget"
    if node.op == "LSTM" and any(node.proto.input[_PEEPHOLE:]):
        return "LSTM with peepholes"
    if node.op == "GRU" and given.get("linear_before_reset", 0) != 1:
        return "GRU with linear_before_reset 0"
    return None


def _of_conv_transpose(node: Node) -> str | None:
    """Say what cuDNN lacks of a transposed convolution."""
    given = attributes(node.proto)
    pads = [*given.get("pads", ())]
    half = len(pads) // 2
    if pads[:half] != pads[half:]:
        return "ConvTranspose with asymmetric pads"
    if given.get("auto_pad", b"NOTSET").startswith(b"SAME"):
        return f"ConvTranspose with auto_pad {given['auto_pad'].decode()}"
    return None


def sizes(nodes: Sequence[Node]) -> dict[str, int]:
    """Return the number of elements of each weight and Constant in the graphs of these nodes."""
    graphs = {id(node.graph): node.graph for node in nodes}
    found = {
        tensor.name: prod(tensor.dims) for graph in graphs.values() for tensor in graph.initializer
    }
    for node in nodes:
        if node.op == "Constant":
            name = node.proto.output[0]
            dims = node.scope[name].tensor_type.shape.dim if name in node.scope else ()
            found[name] = prod(dim.dim_value for dim in dims)
    return found
