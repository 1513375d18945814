"""What `place` found, and the JSON of it."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tritonforge.placement import Certainty, Compared, Observation, Placed, Placement


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was foretold and what was observed, at least one of both."""

    placement: "Placement | None" = None
    observation: "Observation | None" = None
    accelerator: str = "openvino"

    @property
    def loads(self) -> bool:
        """Say whether the model loads: a session knows best."""
        if self.observation is not None:
            return self.observation.refusal is None
        return self.placement is not None and self.placement.refusal is None

    @cached_property
    def pairs(self) -> "tuple[Compared, ...]":
        """Return the nodes that were foretold beside those that were seen."""
        from tritonforge.placement import Compared, compared

        nodes = () if self.placement is None else self.placement.nodes
        if self.observation is None:
            return tuple(Compared(placed=node, seen=None) for node in nodes)
        return compared(nodes, self.observation)


def certainty_of(found: "Placement") -> "Certainty":
    """Return how sure a forecast for TensorRT is."""
    from tritonforge.placement import certainty

    return certainty(found.release, {node.op for node in found.nodes})


def restricted(found: "Placement", sure: "Certainty") -> "list[Placed]":
    """Return the nodes that TensorRT takes with restrictions which nobody checks here."""
    taken = (node for node in found.nodes if node.provider == "tensorrt")
    return [node for node in taken if node.op in sure.restricted]


def document(answer: Answer) -> dict[str, Any]:
    """Lay out an answer whole; what is unknown or was not asked for is None."""
    found, seen = answer.placement, answer.observation
    return {
        "loads": answer.loads,
        "foretold": None if found is None else brief(found) | _whole(found),
        "observed": None if seen is None else _observed(answer, seen),
        "nodes": [_node(pair) for pair in answer.pairs],
    }


def brief(found: "Placement") -> dict[str, Any]:
    """Lay out what a release makes of a model, without its nodes."""
    return {
        "target": found.release.tag,
        "onnxruntime": found.release.onnxruntime,
        "accelerator": found.accelerator,
        "loads": found.refusal is None,
        "refusal": found.refusal,
        "providers": [
            {
                "provider": _provider(key),
                "nodes": count,
                "flops_share": None if found.shares is None else found.shares[key],
            }
            for key, count in found.counts.items()
        ],
        "uncounted": len(found.uncounted),
    }


def _whole(found: "Placement") -> dict[str, Any]:
    """Lay out what a line of all releases has no room for."""
    prediction = found.prediction
    return {
        "unoptimized": found.unoptimized,
        "islands": None if prediction is None else prediction.islands,
        "copies": None if prediction is None else prediction.copies,
        "tensorrt": _sureness(found) if found.accelerator == "tensorrt" else None,
    }


def _sureness(found: "Placement") -> dict[str, Any]:
    """Lay out how sure a forecast for TensorRT is."""
    sure = certainty_of(found)
    counts = Counter(node.op for node in restricted(found, sure))
    return {
        "parser": sure.parser,
        "parser_source": sure.source,
        "table_read": sure.read,
        "parser_opset": sure.newest_opset,
        "opset": found.opset,
        "restricted": [
            {"op": op, "nodes": count, "restriction": sure.restricted[op]}
            for op, count in counts.most_common()
        ],
    }


def _observed(answer: Answer, seen: "Observation") -> dict[str, Any]:
    """Lay out what a session did, and how far that was foretold."""
    verdicts = Counter(pair.agrees for pair in answer.pairs)
    return {
        "onnxruntime": seen.runtime,
        "told_by": seen.told_by,
        "refusal": seen.refusal,
        "as_foretold": None if answer.placement is None else verdicts[True],
        "elsewhere": None if answer.placement is None else verdicts[False],
    }


def _node(pair: "Compared") -> dict[str, Any]:
    """Lay out a node; `provider` is where it was foretold, `observed` where it was seen."""
    found, seen = pair.placed, pair.seen
    observed = None if seen is None else _provider(seen.provider)
    if found is None:
        names = {key: getattr(seen, key) for key in ("name", "op", "domain")}
        return names | {**dict.fromkeys(_OF_PLACED), "path": [], "observed": observed}
    return {
        "name": found.name,
        "op": found.op,
        "domain": found.domain,
        "since_version": found.since,
        "path": found.path,
        "inlined": found.inlined,
        "provider": _provider(found.provider),
        "reason": None
        if found.reason is None
        else {"kind": found.reason.kind, "text": found.reason.text},
        "flops": found.flops,
        "widened": found.widened,
        "observed": observed,
    }


_OF_PLACED = ("since_version", "inlined", "provider", "reason", "flops", "widened")


def _provider(accelerator: str) -> str:
    """Name a provider as ONNX Runtime does."""
    from tritonforge.placement import PROVIDERS

    return {str(key): name for key, name in PROVIDERS.items()}[accelerator]
