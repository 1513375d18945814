"""Whether a provider has a kernel for a node, and why it has none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tritonforge.graph import contrib
from tritonforge.graph.typed import Node, bound, type_of
from tritonforge.kernels import Provider, kernels
from tritonforge.release import Release
from tritonforge.spec import ON_GPU, Accelerator

PROVIDERS: Mapping[Accelerator, str] = {  # as ONNX Runtime names them
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
CHAINS: Mapping[Accelerator, tuple[Accelerator, ...]] = {  # who is asked in turn
    "cpu": ("cpu",),
    "cuda": ("cuda", "cpu"),
    "tensorrt": ("tensorrt", "cuda", "cpu"),
    "openvino": ("openvino", "cpu"),
}
Kind = Literal["operator", "version", "type", "attribute", "shape", "parser", "subgraph"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a provider does not run a node.

    `operator`: it has no kernel for it; `version`: none for the operator as of the graph's opset;
    `type`: none for its types; `attribute`: its kernel does not take an attribute; `shape`: it
    computes a shape, which stays on the host; `parser` and `subgraph`: TensorRT does not read it,
    or not all that lies in it.
    """

    kind: Kind
    text: str


def mismatch(node: Node, release: Release, provider: Provider) -> Reason | None:
    """Say why a provider has no kernel for a node, None where it has one.

    The rule is ONNX Runtime's: `kernel_registry.cc`; see `kernels.Kernel.covers`.
    """
    known = kernels(release.onnxruntime, provider, node.domain, node.op)
    if not known:
        return Reason(kind="operator", text=f"no kernel for {node.op}")
    covering = [kernel for kernel in known if kernel.covers(node.since)]
    if not covering:
        newest = max(kernel.until or kernel.since for kernel in known)
        text = f"no kernel for {node.op} since version {node.since}, the newest is of {newest}"
        return Reason(kind="version", text=text)
    types = bound_types(node, release)
    if any(takes(kernel.types, types) for kernel in covering):
        return None
    return Reason(kind="type", text=f"no kernel for {node.op}{of_types(node)}")


def bound_types(node: Node, release: Release) -> Mapping[str, str]:
    """Return what is bound to type parameters and inputs, of ONNX Runtime's own operators too."""
    if node.schema is not None:
        return node.types
    own = contrib.schema(release.onnxruntime, node.domain, node.op, node.opset)
    return {} if own is None else bound(node.proto, own, node.scope)


def has_kernel(node: Node, release: Release, accelerator: Accelerator) -> bool:
    """Say whether a node has a kernel: the CPU's, or CUDA's where a GPU is asked for."""
    if accelerator in ON_GPU and mismatch(node, release, "cuda") is None:
        return True
    return mismatch(node, release, "cpu") is None


def takes(wanted: Mapping[str, frozenset[str]], types: Mapping[str, str]) -> bool:
    """Say whether a kernel takes the types that are bound; what is not bound does not matter."""
    return all(name not in types or types[name] in these for name, these in wanted.items())


def of_types(node: Node) -> str:
    """Name the types of a node's inputs, and what a Cast makes of them."""
    types = [type_of(node.scope[name]) for name in node.proto.input if name in node.scope]
    known = list(dict.fromkeys(each for each in types if each))
    to = f" to {node.types['T2']}" if node.op == "Cast" and "T2" in node.types else ""
    return f" of {', '.join(known)}{to}" if known else ""
