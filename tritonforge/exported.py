"""What an export wrote, read back from the file: checked, opened, described.

Between adapters and use cases: nothing is believed that the file does not say itself.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tritonforge import graph, opsets, runtime, samples
from tritonforge.deciding import Decision
from tritonforge.errors import ExportError, GraphError
from tritonforge.graph import lean
from tritonforge.spec import Domain, ModelSpec
from tritonforge.tensors import Dim, Signature, TensorSpec

Known = tuple[Dim | None, ...]  # what a session infers of an output; None has no name


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An `.onnx` file and how it came about.

    `exporter` says in words which way was taken. `sizes` are those of the sample it was exported
    with; `conditions` name the values that decide its If nodes, `hidden_conditions` counts those
    that cannot be named. `loaded_by` is the target's ONNX Runtime where it has tried. `notes` are
    for the user. `rewritten` says that its library's rewrites took part. `fixed` says why a dynamic
    batch was given up, None where it was not. `chosen` says why it is this opset, `decision` why it
    is this accelerator, None where that was asked for.
    """

    exporter: str
    stamp: graph.Stamp
    signature: Signature
    domains: Mapping[str, Domain]
    conditions: tuple[str, ...]
    hidden_conditions: int = 0
    sizes: samples.Sizes
    loaded_by: str | None
    notes: tuple[str, ...] = ()
    rewritten: bool = False
    fixed: str | None = None
    chosen: str | None = None
    decision: Decision | None = None


def read_back(
    path: Path,
    way: str,
    opset: int,
    spec: ModelSpec,
    domains: Mapping[str, Domain],
    sizes: samples.Sizes | None,
) -> Exported:
    """Read what was really written, check it, open it in a real session, and describe it.

    Raises `GraphError` where the target or a session refuses it, or it is not what was pinned.
    """
    model = lean.read(path)
    stamp = graph.stamp_of(model)
    if stamp.opset != opset or stamp.ir > spec.target.ir:
        raise GraphError(
            f"the file says opset {stamp.opset} and IR {stamp.ir}"
            f" where {opset} and {spec.target.ir} were pinned"
        )
    if stamp.ml_opset > spec.target.ml_opset:
        raise GraphError(
            f"the file says ai.onnx.ml {stamp.ml_opset}, release {spec.target.tag} takes"
            f" {spec.target.ml_opset} at most",
            hint="choose a newer --target, or convert the model for that ai.onnx.ml",
        )
    graph.check(path)
    loaded_by, known = _opened(path, spec)
    signature = _inferred(graph.signature(model), known)
    if signature != graph.signature(model):
        whole = graph.load(path)
        graph.name_output_dims(whole, {each.name: each.dims for each in signature.outputs})
        graph.write(whole, path)
    return Exported(
        exporter=way,
        stamp=stamp,
        loaded_by=loaded_by,
        signature=signature,
        domains=_domains({**domains, **graph.domains(model), **dict(spec.domains)}, signature),
        conditions=graph.conditions(model),
        hidden_conditions=graph.hidden_conditions(model),
        sizes=samples.typical(signature.dynamic, dict(spec.ranges)) if sizes is None else sizes,
    )


def _domains(known: Mapping[str, Domain], signature: Signature) -> Mapping[str, Domain]:
    """Return the domains of the inputs that the file has: one that it does not use may be gone."""
    inputs = {each.name for each in signature.inputs}
    return {name: domain for name, domain in known.items() if name in inputs}


def _opened(path: Path, spec: ModelSpec) -> tuple[str | None, Mapping[str, Known]]:
    """Open a file in the target's ONNX Runtime where it is at hand, and in ours.

    Returns the version of the former, and the dims of the outputs that ours infers.
    """
    try:
        loaded_by = runtime.loads(path, spec.target, unpacked=graph.has_data(path))
        if loaded_by is None:
            opsets.check_loads(path, spec.target, spec.accelerator)
        return loaded_by, graph.output_dims(path)
    except GraphError:
        opsets.check_provable(path, spec)
        raise


def drop_unused(
    path: Path, inputs: Sequence[TensorSpec], wished: Container[str]
) -> tuple[TensorSpec, ...]:
    """Take the inputs that a model does not use out of its file; return those that it keeps.

    Raises `ExportError` for one that was wished for where it could be left out, and where none is
    used.
    """
    model = lean.read(path)
    unused = graph.unused_inputs(model)
    written = {each.name for each in model.graph.input}
    kept = tuple(each for each in inputs if each.name in written and each.name not in unused)
    for each in inputs:
        if each not in kept and each.name in wished:
            raise ExportError(
                f"the model does not use the input {each.name!r}", hint="leave it out of --input"
            )
    if inputs and not kept:
        raise ExportError(
            f"the model uses none of its inputs: {', '.join(each.name for each in inputs)}",
            hint="a server asks for an input: return something that depends on one",
        )
    if unused:
        whole = graph.load(path)
        graph.drop_inputs(whole, unused)
        graph.write(whole, path)
    return kept


def hold(signature: Signature, asked: tuple[TensorSpec, ...]) -> None:
    """Hold the file's inputs against those that were asked; raises `ExportError`."""
    written = {tensor.name: tensor for tensor in signature.inputs}
    merged: dict[str, str] = {}
    for tensor in asked:
        for wanted, got in zip(tensor.dims, written[tensor.name].dims, strict=True):
            if isinstance(wanted, str) and isinstance(got, int):
                raise ExportError(
                    f"the exporter froze dimension {wanted!r} of input {tensor.name!r} at {got}",
                    hint=f"compute with x.shape instead of fixed sizes, or ask for {got}",
                )
            if isinstance(wanted, str) and merged.setdefault(str(got), wanted) != wanted:
                raise ExportError(
                    f"the exporter made one dimension of {merged[str(got)]!r} and {wanted!r}",
                    hint="the model takes them only where they are equal: give them one name",
                )


def _inferred(signature: Signature, known: Mapping[str, Known]) -> Signature:
    """Return the signature whose outputs are as narrow as ONNX Runtime knows them to be."""
    outputs = []
    for tensor in signature.outputs:
        pairs = zip(tensor.dims, known.get(tensor.name, ()), strict=False)
        dims = tuple(dim if not isinstance(seen, int) else seen for dim, seen in pairs)
        outputs.append(replace(tensor, dims=dims) if len(dims) == len(tensor.dims) else tensor)
    return replace(signature, outputs=tuple(outputs))
