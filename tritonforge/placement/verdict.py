"""Whether an ONNX Runtime loads a model, and what it refuses it for: foretold from its tables.

The order is ONNX Runtime's own (`graph.cc`, `inference_session.cc`): limits, schemas, types, then
a kernel for each node, in whose place an operator's body may stand.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx
from onnx import FunctionProto, ModelProto, ValueInfoProto

from tritonforge.graph import schemas
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import (
    Node,
    Resolved,
    UnsoundError,
    nodes,
    opsets,
    resolved,
    with_functions_put_in,
)
from tritonforge.kernels import kernels
from tritonforge.placement import exceptions, fusions
from tritonforge.placement.defined import has_its_types, is_defined
from tritonforge.placement.matching import bound_types, mismatch, of_types, takes
from tritonforge.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a model says of itself, read once for all releases.

    `needed` are its opsets, or those of its functions where they are higher. `written` are its
    nodes before any type is known. `resolved` is None where types cannot be inferred, `fault` says
    why.
    """

    opsets: Mapping[str, int]
    needed: Mapping[str, int]
    ir: int | None
    written: tuple[Node, ...]
    resolved: Resolved | None
    fault: str | None


def read(model: ModelProto) -> Read:
    """Read a model for its verdicts."""
    versions = opsets(model.opset_import)
    written: tuple[Node, ...] = ()
    typed, fault = None, None
    try:
        written = tuple(nodes(_whole(model).graph, versions, is_typed=False))
        typed = resolved(model)
    except UnsoundError as error:
        fault = str(error)
    return Read(
        opsets=versions,
        needed=_needed(model),
        ir=model.ir_version if model.HasField("ir_version") else None,
        written=written,
        resolved=typed,
        fault=fault,
    )


def _whole(model: ModelProto) -> ModelProto:
    """Return a model with its own functions put in; raises `UnsoundError`."""
    try:
        return with_functions_put_in(model)
    except Exception as error:  # of several kinds, without a common public base
        raise UnsoundError(str(error).strip()) from error


def _needed(model: ModelProto) -> dict[str, int]:
    """Return the highest opset of each domain that a model or a function of it asks for."""
    found = opsets(model.opset_import)
    for function in model.functions:
        for domain, version in opsets(function.opset_import).items():
            found[domain] = max(version, found.get(domain, 0))
    return found


def refusal(given: Read, release: Release, *, gpu: bool = False) -> str | None:
    """Say why the release's ONNX Runtime refuses a model, None where it loads it.

    With `gpu` a kernel of its CUDA provider serves as well as one of the CPU.
    """
    try:
        _within_limits(given, release)
        for node in given.written:
            is_defined(node, release)
        if given.resolved is None:
            return given.fault
        for node in given.resolved.nodes:
            has_its_types(node, release)
            if (fault := exceptions.misread(node, release)) is not None:
                return fault
        for node in given.resolved.nodes:
            _has_a_kernel(node, release, gpu=gpu)
    except UnsoundError as error:
        return str(error)
    return None if gpu else fusions.fused(given.resolved.nodes, release)


def lacking(given: Read, release: Release) -> tuple[str, ...]:
    """Return the operators that a release has no kernel for on the CPU, nor others in its place."""
    found = set()
    for node in () if given.resolved is None else given.resolved.nodes:
        try:
            _has_a_kernel(node, release, gpu=False)
        except UnsoundError:
            found.add(node.op)
    return tuple(sorted(found))


def _within_limits(given: Read, release: Release) -> None:
    """Refuse an opset or IR above the release's."""
    limits = {MAIN: release.opset, "ai.onnx.ml": release.ml_opset, "com.microsoft": 1}
    for domain, version in given.needed.items():
        if version > limits.get(domain, version):
            raise UnsoundError(
                f"opset {version} of {domain}, which it takes up to {limits[domain]}"
            )
    if given.ir is None:
        raise UnsoundError("no IR version")
    if given.ir > release.ir:
        raise UnsoundError(f"IR version {given.ir}, which it takes up to {release.ir}")


def _has_a_kernel(node: Node, release: Release, *, gpu: bool) -> None:
    """Refuse a node without a kernel, and without a body of which all have one."""
    if node.op == "Constant" or exceptions.needs_none(node):
        return
    if gpu and mismatch(node, release, "cuda") is None:
        _is_taken(node, release, gpu=True)
        return
    if matches(node, release):
        _is_taken(node, release, gpu=False)
        return
    found = _body(node, release)
    if found is not None:  # before half floats are cast for a kernel of floats
        for inner in _inside(found, node):
            is_defined(inner, release)
            has_its_types(inner, release)
            _has_a_kernel(inner, release, gpu=gpu)
        return
    what = f"no kernel for {node.op}-{node.since}{of_types(node)}"
    if not matches(node, release, cast=True):
        raise UnsoundError(what)
    if not _casts(node, release):
        raise UnsoundError(f"{what}, and none for the Casts around it")
    _is_taken(node, release, gpu=False)


def _is_taken(node: Node, release: Release, *, gpu: bool) -> None:
    """Refuse what a kernel refuses when it is made."""
    fault = exceptions.refused(node, release, gpu=gpu)
    if fault is not None:
        raise UnsoundError(fault)


def _body(node: Node, release: Release) -> FunctionProto | None:
    """Return what an operator of ONNX stands for, None where it stands for nothing else."""
    if node.schema is None:
        return None
    old = exceptions.has_first_body(release)
    return schemas.body(node.proto, node.schema, node.opset, node.scope, first=old)


def matches(node: Node, release: Release, *, cast: bool = False) -> bool:
    """Say whether the CPU has a kernel; with `cast` also one of floats for half floats."""
    if mismatch(node, release, "cpu") is None:
        return True
    types = bound_types(node, release)
    return cast and any(
        kernel.covers(node.since) and takes(kernel.types, _cast(types, kernel.types))
        for kernel in kernels(release.onnxruntime, "cpu", node.domain, node.op)
    )


def _casts(node: Node, release: Release) -> bool:
    """Say whether the CPU has a kernel for a Cast at the opset of a node."""
    known = schemas.schema(MAIN, "Cast", node.opset) if node.domain == MAIN else None
    found = kernels(release.onnxruntime, "cpu", MAIN, "Cast")
    return known is None or any(kernel.covers(known.since_version) for kernel in found)


def _cast(types: Mapping[str, str], wanted: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """Cast the half floats that a kernel does not take, and only those."""
    return {
        name: "float" if each == "float16" and each not in wanted.get(name, {each}) else each
        for name, each in types.items()
    }


def _inside(found: FunctionProto, node: Node) -> Iterator[Node]:
    """Yield the nodes of an operator's body with the types that go in.

    ONNX Runtime resolves them at the opset of the model.
    """
    model = ModelProto(ir_version=8)
    model.graph.name = node.op
    versions = opsets(found.opset_import)
    versions[MAIN] = max(versions.get(MAIN, 0), node.opset if node.domain == MAIN else 0)
    for domain, version in versions.items():
        model.opset_import.add(domain="" if domain == MAIN else domain, version=version)
    model.graph.node.extend(found.node)
    for formal, name in zip(found.input, node.proto.input, strict=False):
        if name in node.scope:
            model.graph.input.append(ValueInfoProto(name=formal, type=node.scope[name]))
    for formal in found.output:
        model.graph.output.append(ValueInfoProto(name=formal))
    try:
        resolved = onnx.shape_inference.infer_shapes(model)
    except Exception:  # noqa: BLE001 - then some types stay unknown, and do not matter
        resolved = model
    yield from nodes(resolved.graph, versions)
