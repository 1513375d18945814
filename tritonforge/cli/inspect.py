"""`tritonforge inspect`: what is in a file."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output

if TYPE_CHECKING:
    from tritonforge.graph import Inspection
    from tritonforge.repository import Repository

_UNITS = ("", "k", "M", "G", "T", "P")


@click.command()
@options.model
@options.model_repository
@options.model_version
@options.size
@options.output_format
def command(
    model: str,
    model_repository: "Repository",
    model_version: int | None,
    sizes: tuple[tuple[str, int], ...],
    output_format: str,
) -> None:
    """Tell what is in MODEL: what it takes and gives, its operators, weights and cost.

    MODEL is a name in the repository or an .onnx file. Its weights are not read, however large they
    are. Cost is for one sample, dynamic dimensions being 1 unless --size says otherwise.
    """
    from tritonforge import graph

    path = options.model_file(model, model_repository, model_version)
    found = graph.inspect(path, dict(sizes))
    if output_format == "json":
        output.as_json({"path": str(path), **_facts(found)})
        return
    click.echo(path)
    _print(found)


def _facts(found: "Inspection") -> dict[str, Any]:
    """Lay out what was found."""
    sums = {"parameters": found.parameters, "weight_bytes": found.weight_bytes}
    return asdict(found) | sums


def _print(found: "Inspection") -> None:
    """Print what a person wants to know, the whole first."""
    opsets = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
    rows = [
        ("producer", found.producer or "not said"),
        ("IR", str(found.ir)),
        ("opsets", opsets),
        *(("input", _value(each)) for each in found.inputs),
        *(("output", _value(each)) for each in found.outputs),
        ("parameters", _short(found.parameters)),
        ("weights", ", ".join(_weights(each) for each in found.weights) or "none"),
        *(("weights file", name) for name in found.external),
        ("nodes", str(found.nodes)),
        *(("function", name) for name in found.functions),
        *(("subgraphs", _subgraph(each)) for each in found.subgraphs),
        ("FLOPs", _flops(found)),
        ("activations", "unknown" if (most := found.activation_bytes) is None else _bytes(most)),
    ]
    if found.sizes:
        rows.append(("where", ", ".join(f"{dim}={size}" for dim, size in found.sizes.items())))
    if found.fault is not None:
        rows.append(("fault", found.fault))
    output.table(("what", "value"), rows, left=2)
    lines = [
        (each.op, each.domain, each.kind, str(each.count), _short(each.flops))
        for each in found.operators
    ]
    output.table(("operator", "domain", "kind", "count", "FLOPs"), lines, left=3)


def _value(value: Any) -> str:
    dims = "of unknown shape" if value.dims is None else f"[{', '.join(map(str, value.dims))}]"
    return f"{value.name} {value.type} {dims}"


def _weights(weights: Any) -> str:
    return f"{weights.tensors} of {weights.dtype}, {_bytes(weights.bytes)}"


def _subgraph(subgraph: Any) -> str:
    return f"{subgraph.op} {subgraph.node}: {subgraph.nodes} nodes, {_short(subgraph.flops)} FLOPs"


def _flops(found: "Inspection") -> str:
    if found.flops is not None:
        return _short(found.flops)
    return f"unknown: no shapes for {', '.join(found.unknown)}"


def _short(count: int | None) -> str:
    """Write a number with three figures and a unit."""
    if count is None:
        return "unknown"
    scaled, unit = float(count), 0
    while scaled >= 999.5 and unit < len(_UNITS) - 1:
        scaled, unit = scaled / 1000, unit + 1
    return f"{scaled:.3g} {_UNITS[unit]}".strip() if unit else str(count)


def _bytes(count: int) -> str:
    return f"{_short(count)}B" if count >= 1000 else f"{count} B"
