"""Which opset a model is written at: where the fewest of its nodes lose the chosen provider."""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tritonforge import placement, release
from tritonforge.errors import GraphError, SpecError, VerdictError
from tritonforge.graph.schemas import MAIN
from tritonforge.graph.typed import opsets as opsets_of
from tritonforge.placement import Placement
from tritonforge.release import LOWEST_OPSET, Release
from tritonforge.spec import ON_GPU, Accelerator, ModelSpec

_NAMED = 4  # operators in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An opset that the target loads: `native` where it needs no conversion.

    `lost` names the operators of the nodes that the chosen provider would not run, each time;
    `nodes` counts all as they would be placed, which is what `place` counts.
    """

    opset: int
    native: bool
    lost: tuple[str, ...]
    nodes: int


def ranked(
    path: Path, spec: ModelSpec, native: Container[int], *, written: int | None = None
) -> tuple[Option, ...]:
    """Return the opsets at which the target runs a file, the best first.

    That is where the fewest nodes lose the provider; of those, where no conversion is needed; of
    those, the highest. Nothing where the graph cannot be resolved, or holds no operator of ONNX's
    own domain. Where the file is `written` at the best that there can be, beside it the target's
    highest alone is looked at, which a reason speaks of.
    """
    model = placement.model_of(path)
    if MAIN not in opsets_of(model.opset_import):
        return ()
    graph, _ = placement.as_placed(placement.read(model))
    if graph is None:
        return ()

    @cache
    def option(opset: int) -> Option | None:
        there = placement.written_out(model, graph, opset)
        found = placement.supposed(there, spec.target, spec.accelerator, opset)
        if found is None:
            return None
        return Option(opset=opset, native=opset in native, lost=found.lost, nodes=found.nodes)

    wanted = [*range(LOWEST_OPSET, spec.target.opset + 1)]
    if written is not None and written == max(filter(native.__contains__, wanted), default=0):
        stands = option(written)
        if stands is not None and not stands.lost:
            wanted = sorted({written, spec.target.opset})
    options = filter(None, map(option, wanted))
    return tuple(sorted(options, key=lambda each: (len(each.lost), not each.native, -each.opset)))


def reason(chosen: int, options: Sequence[Option], spec: ModelSpec) -> str:
    """Say which opset was chosen and why not the highest that the target loads."""
    known = {option.opset: option for option in options}
    best, top = known.get(chosen), known.get(spec.target.opset)
    text = f"opset {chosen}"
    if chosen == spec.target.opset:
        text += f", the highest that {spec.target.tag} loads"
    else:
        text += f", not {spec.target.opset}: {_against(top, best, spec)}"
    if best is None and options:
        text += f"; no conversion leads to {options[0].opset}, where fewer nodes are lost"
    if best is not None and best.lost:
        text += f"; at {chosen} {_lost(best, spec)}"
    return text


def _against(top: Option | None, best: Option | None, spec: ModelSpec) -> str:
    """Say what speaks against the highest opset."""
    parser = spec.target.parser
    if spec.accelerator == "tensorrt" and parser is not None:
        newest = placement.newest_opset(parser)
        if newest < spec.target.opset:
            source = spec.target.parser_source
            return f"the parser of TensorRT {parser} ({source}) knows {newest} at most"
    if top is None:
        return f"at {spec.target.opset} not every operator has a kernel"
    if best is None or len(top.lost) > len(best.lost):
        return f"at {top.opset} {_lost(top, spec)}"
    return "it needs no conversion" if best.native else "nothing is lost, and it converts"


def _lost(option: Option, spec: ModelSpec) -> str:
    """Say which operators the provider does not run at an opset."""
    who = f"ONNX Runtime {spec.target.onnxruntime} has no CUDA kernel for"
    if spec.accelerator == "tensorrt":
        who = f"TensorRT {spec.target.parser} does not take"
    return f"{who} {_names(option.lost)}: {len(option.lost)} of {option.nodes} nodes"


def _names(ops: Sequence[str]) -> str:
    """Name the operators that occur most."""
    names = [op for op, _ in Counter(ops).most_common()]
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")


def check(path: Path, spec: ModelSpec) -> tuple[str, ...]:
    """Return notes on what a GPU leaves to the CPU; raises `VerdictError` above what is allowed.

    Shapes that CUDA's own provider leaves there on purpose are no loss. Raises `SpecError` where
    `allow_cpu` names what is no operator.
    """
    if spec.accelerator not in ON_GPU:
        return ()
    _check_allowed(path, spec)
    found = next(placement.place(path, (spec.target,), spec.accelerator))
    if found.refusal is not None:
        raise _refused(spec.target, found.refusal)
    lost = [node.op for node in found.nodes if node.provider == "cpu" and not node.hosted]
    counted = [op for op in lost if op not in spec.allow_cpu]
    if spec.max_cpu_nodes is not None and len(counted) > spec.max_cpu_nodes:
        raise VerdictError(
            f"{len(counted)} of {len(found.nodes)} nodes would run on the CPU for want of a CUDA"
            f" kernel, {spec.max_cpu_nodes} are allowed: {_names(counted)}",
            hint="see them with tritonforge place, choose another --opset or --target, or allow"
            f" operators: --allow-cpu {','.join(sorted(set(counted)))}",
        )
    return _notes(found, lost)


def _check_allowed(path: Path, spec: ModelSpec) -> None:
    """Refuse names that are misspelt: one that this model does not have may serve another."""
    for name in sorted(spec.allow_cpu):
        known = placement.is_known(name, spec.target)
        if not known and not placement.is_in(name, placement.model_of(path)):
            near = placement.nearest(name)
            raise SpecError(
                f"--allow-cpu names {name!r}, which is no operator of ONNX nor of this model",
                hint=f"did you mean {near!r}?" if near else "tritonforge inspect lists the model's",
            )


def _notes(found: Placement, lost: Sequence[str]) -> tuple[str, ...]:
    """Tell what is lost, and what could not be foreseen."""
    notes = []
    if lost:
        notes.append(
            f"{len(lost)} of {len(found.nodes)} nodes go to the CPU, for want of a CUDA kernel:"
            f" {_names(lost)}"
        )
    if found.unoptimized is not None:
        notes.append(f"placement was foretold without optimizations: {found.unoptimized}")
    return tuple(notes)


def check_loads(path: Path, target: Release, accelerator: Accelerator) -> None:
    """Raise `GraphError` where the target's ONNX Runtime is foreseen to refuse a file.

    It names the operators without a kernel, the targets that run them, and whether TensorRT does.
    """
    fault = next(placement.place(path, (target,), accelerator)).refusal
    if fault is None:
        return
    others = [each.release for each in release.images() if each.release is not None]
    placed = placement.place(path, others, accelerator)
    able = [each.release.tag for each in placed if each.refusal is None]
    spans = _spans(able, [each.tag for each in others])
    hint = f"targets that load it: {spans}" if able else "no known target loads it"
    given = placement.read(placement.model_of(path))
    raise _refused(target, fault, hint + _of_tensorrt(given, target))


def _refused(target: Release, fault: str, hint: str | None = None) -> GraphError:
    """Make an error of what a target is foreseen to refuse."""
    return GraphError(
        f"ONNX Runtime {target.onnxruntime} of release {target.tag} would refuse the file: {fault}",
        hint=hint or "try another --opset or --target; tritonforge place --target all tells which",
    )


def check_provable(path: Path, spec: ModelSpec) -> None:
    """Raise `GraphError` where CUDA would run a file that the CPU, which proves it, would not."""
    given = placement.read(placement.model_of(path))
    if spec.accelerator not in ON_GPU or placement.refusal(given, spec.target, gpu=True):
        return
    fault = placement.refusal(given, spec.target)
    if fault is None or not fault.startswith("no kernel for"):
        return
    hint = "write it with operators and types that the CPU has kernels for"
    if "bfloat16" in fault:
        hint = "export it as FP32 or FP16, which the CPU runs too"
    raise GraphError(
        "the file cannot be proven here, since the gate runs on the CPU: there ONNX Runtime"
        f" {spec.target.onnxruntime} has {fault}, which its CUDA provider has",
        hint=hint,
    )


def _of_tensorrt(given: "placement.Read", target: Release) -> str:
    """Say whether TensorRT takes the operators that have no kernel."""
    if target.parser is None:
        return ""
    words = []
    for op in placement.lacking(given, target)[:_NAMED]:
        verb = "takes" if placement.parses(target.parser, op) else "has no"
        words.append(f"; TensorRT {target.parser} {verb} {op}")
    return "".join(words)


def _spans(tags: Sequence[str], known: Sequence[str]) -> str:
    """Write the tags of a list by the ends of each run among all that are known."""
    runs: list[list[str]] = []
    for before, tag in zip((None, *known), known, strict=False):
        if tag in tags:
            if runs and runs[-1][-1] == before:
                runs[-1].append(tag)
            else:
                runs.append([tag])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
