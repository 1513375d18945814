"""What `place` prints for a person: the whole first, then what is not where it was wanted."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tritonforge.cli import output
from tritonforge.cli.placed import Answer, certainty_of, restricted

if TYPE_CHECKING:
    from tritonforge.placement import Certainty, Compared, Observation, Placed, Placement

_SHOWN = {"cpu": "CPU", "cuda": "CUDA", "tensorrt": "TensorRT", "openvino": "OpenVINO"}
_NAMES = 3  # examples in a row
_OPERATORS = 4  # in a line of all releases
_SOURCES = {
    "known": "known of this image",
    "hinted": "not stated for this image, taken from a hint",
    "guessed": "guessed from the release before",
}


def show(answer: Answer, *, every: bool) -> None:
    """Print the whole first, then what is not where it was wanted, or every node."""
    output.table(("what", "value"), [*_whole(answer)], left=2, wrap=True)
    if answer.placement is not None and answer.placement.lost and not every:
        _show_lost(answer.placement)
    if answer.observation is not None and not every:
        _show_differing(answer)
    if every and answer.pairs:
        _show_every(answer)


def _show_every(answer: Answer) -> None:
    """Print every node, with the columns that there is something in."""
    columns = ("node", "operator", "foretold", "observed", "why")
    rows = [_row(pair) for pair in answer.pairs]
    kept = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    shown = [[row[index] for index in kept] for row in rows]
    output.table([columns[index] for index in kept], shown, left=len(kept), wrap=True)


def _whole(answer: Answer) -> Iterator[tuple[str, str]]:
    """Yield the rows that tell of all nodes together."""
    found, seen = answer.placement, answer.observation
    if found is not None:
        yield "target", _target(found)
        yield "loads", "yes" if found.refusal is None else f"no: {found.refusal}"
        if found.prediction is not None:
            yield from _foretold(found)
        if found.accelerator == "tensorrt" and found.prediction is not None:
            yield from _sureness(certainty_of(found), found)
    if seen is not None:
        yield from _observed(answer, seen)


def _target(found: "Placement") -> str:
    runtime = f"ONNX Runtime {found.release.onnxruntime}"
    return runtime if found.release.tag.startswith("ort:") else f"{found.release.tag}, {runtime}"


def _foretold(found: "Placement") -> Iterator[tuple[str, str]]:
    """Yield what is foretold of a model that loads."""
    prediction = found.prediction
    if prediction is None:
        return
    yield "nodes", _shares({_SHOWN[key]: str(count) for key, count in found.counts.items()})
    yield "FLOPs", _flops(found)
    yield "islands", f"{prediction.islands}, each run by one provider without a break"
    yield "copies", f"{prediction.copies} of values between host and GPU"
    if widened := sum(node.widened for node in found.nodes):
        yield "mixed precision", f"{widened} nodes of half floats, which the CPU runs in float"
    if inlined := [node.inlined for node in found.nodes if node.inlined is not None]:
        names = _some([*dict.fromkeys(inlined)])
        yield "written out", f"{names}: {len(inlined)} nodes in their place, for want of a kernel"
    if found.unoptimized is not None:
        yield "not optimized", f"placed as the file has it: {found.unoptimized}"


def _flops(found: "Placement") -> str:
    """Say who computes how much of what is known, and of which nodes it is not."""
    unknown = _some([*dict.fromkeys(node.op for node in found.uncounted)])
    if found.shares is None:
        return f"unknown: no shapes for {unknown}" if unknown else "none"
    shares = _shares({_SHOWN[key]: _percent(share) for key, share in found.shares.items()})
    if not unknown:
        return shares
    left_out = f"{len(found.uncounted)} of {len(found.nodes)} nodes: {unknown}"
    return f"{shares} of what is known, without {left_out}"


def _sureness(sure: "Certainty", found: "Placement") -> Iterator[tuple[str, str]]:
    """Yield how sure it is what TensorRT takes."""
    table = "its table was read" if sure.read else "its table is that of the version before"
    yield "how sure", f"TensorRT {sure.parser}, {_SOURCES[sure.source]}; {table}"
    if found.opset > sure.newest_opset:
        yield "", f"opset {found.opset} is above its parser's {sure.newest_opset}"
    counts = Counter(node.op for node in restricted(found, sure))
    if counts:
        names = ", ".join(f"{op} {count}" for op, count in counts.most_common())
        yield "", f"taken with restrictions that are not checked here: {names}"


def _observed(answer: Answer, seen: "Observation") -> Iterator[tuple[str, str]]:
    """Yield what a session did, and whether it is what was foretold."""
    told = "by its record of assignments" if seen.told_by == "assignment" else "by its log"
    yield "observed", f"ONNX Runtime {seen.runtime}, {told}"
    if seen.refusal is not None:
        yield "", f"it does not load the model: {seen.refusal}"
        return
    if answer.placement is None:
        counts = Counter(_SHOWN[node.provider] for node in seen.nodes)
        lone = {} if seen.alone is None else {_SHOWN[seen.alone]: "all"}
        yield "", _shares({key: str(count) for key, count in counts.most_common()} or lone)
        return
    verdicts = Counter(pair.agrees for pair in answer.pairs)
    yield "", f"{verdicts[True]} nodes as foretold, {verdicts[False]} elsewhere"
    for words, count in _unmatched(answer.pairs).items():
        if count:
            yield "", f"{count} nodes {words}"


def _unmatched(pairs: "Sequence[Compared]") -> dict[str, int]:
    """Count the nodes of which there is only one side."""
    return {
        "foretold that it does not have": sum(pair.seen is None for pair in pairs),
        "that nothing foretold": sum(pair.placed is None for pair in pairs),
    }


def _show_lost(found: "Placement") -> None:
    """Print the nodes that the chosen provider does not run, those of one cause in one row."""
    groups: dict[tuple[str, str, str], list[Placed]] = {}
    for node in found.lost:
        why = "" if node.reason is None else node.reason.text
        groups.setdefault((node.op, node.provider, why), []).append(node)
    rows = [
        (op, str(len(nodes)), _SHOWN[provider], f"{why}\n{_some([node.name for node in nodes])}")
        for (op, provider, why), nodes in sorted(groups.items(), key=lambda each: -len(each[1]))
    ]
    title = f"Not on {_SHOWN[found.accelerator]}"
    columns = ("operator", "nodes", "runs on", "why, and which")
    output.table(columns, rows, left=4, title=title, wrap=True)


def _show_differing(answer: Answer) -> None:
    """Print the nodes that are not where they were foretold, or wanted where nothing was."""
    rows = [_row(pair)[:4] for pair in answer.pairs if _is_elsewhere(pair, answer)]
    if not rows:
        return
    if answer.placement is None:
        title = f"Not on {_SHOWN[answer.accelerator]}"
        plain = [(name, op, observed) for name, op, _, observed in rows]
        output.table(("node", "operator", "observed"), plain, left=3, title=title, wrap=True)
        return
    columns = ("node", "operator", "foretold", "observed")
    output.table(columns, rows, left=4, title="Not as foretold", wrap=True)


def _is_elsewhere(pair: "Compared", answer: Answer) -> bool:
    """Say whether a node was not seen where it was foretold, or wanted where nothing was."""
    if answer.placement is None:
        return pair.seen is not None and pair.seen.provider != answer.accelerator
    return pair.agrees is not True


def _row(pair: "Compared") -> tuple[str, str, str, str, str]:
    """Return a node's name, operator, both providers and the reason."""
    foretold, seen = pair.placed, pair.seen
    observed = "" if seen is None else _SHOWN[seen.provider]
    if foretold is None:
        return (seen.name, seen.op, "", observed, "") if seen is not None else ("",) * 5
    why = [] if foretold.reason is None else [foretold.reason.text]
    if foretold.inlined is not None:
        why.append(f"part of {foretold.inlined}")
    name = "/".join((*foretold.path, foretold.name))
    return name, foretold.op, _SHOWN[foretold.provider], observed, "; ".join(why)


def show_all(found: "Sequence[Placement]") -> None:
    """Print a line a release: whether it loads the model, and what the chosen provider leaves."""
    from tritonforge.placement import CHAINS

    providers = CHAINS[found[0].accelerator]
    rows = []
    for each in found:
        counts = [str(each.counts.get(provider, 0)) for provider in providers]
        loads = each.refusal is None
        rows.append(
            (
                each.release.tag,
                each.release.onnxruntime,
                "yes" if loads else "no",
                *(counts if loads else [""] * len(counts)),
                _in_short(each),
            )
        )
    columns = [f"on {_SHOWN[provider]}" for provider in providers]
    header = ("target", "ONNX Runtime", "loads", *columns, "why")
    output.table(header, rows, left=len(header), wrap=True)


def _in_short(each: "Placement") -> str:
    """Say why a release refuses the model, else which operators it has no kernels for."""
    if each.refusal is not None:
        return each.refusal
    counts = Counter(node.op for node in each.lost if not _is_of_a_shape(node))
    names = [f"{op} {count}" for op, count in counts.most_common(_OPERATORS)]
    if len(counts) > _OPERATORS:
        names.append(f"{len(counts) - _OPERATORS} more operators")
    if shapes := sum(map(_is_of_a_shape, each.lost)):
        names.append(f"{shapes} of shapes")
    return ", ".join(names)


def _is_of_a_shape(node: "Placed") -> bool:
    """Say whether a node is kept on the host since it computes a shape."""
    return node.reason is not None and node.reason.kind == "shape"


def _some(names: Sequence[str]) -> str:
    """Name a few."""
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _shares(each: dict[str, str]) -> str:
    return ", ".join(f"{provider} {count}" for provider, count in each.items())


def _percent(share: float) -> str:
    """Write a share; only the whole is 100%, only nothing 0%."""
    if share in {0, 1}:
        return f"{share:.0%}"
    if 0 < share < 0.001:
        return "under 0.1%"
    return "over 99.9%" if 0.999 < share < 1 else f"{share:.1%}"
