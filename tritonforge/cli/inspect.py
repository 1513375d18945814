"""`tritonforge inspect`: what is in a file."""

from typing import TYPE_CHECKING

import click

from tritonforge import figures
from tritonforge.cli import options, output, tree
from tritonforge.figures import short

if TYPE_CHECKING:
    from tritonforge.graph import External, Inspection
    from tritonforge.graph.inspected import Subgraph, Value
    from tritonforge.graph.weights import Weights
    from tritonforge.repository import Repository

_SHOWN = 5  # so many of the largest weights are shown
_COMMON = 0.01  # a weight is large that holds this part of all


@click.command()
@options.model
@options.repository_of_model
@options.model_version
@options.size
@click.option("--graph", "as_graph", is_flag=True, help="Show the graph instead: a tree by scopes.")
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="N",
    help="Open the tree of --graph N levels deep, whatever its length; without it about a screen.",
)
@options.output_format
def command(
    model: str,
    model_repository: "Repository",
    model_version: int | None,
    sizes: tuple[tuple[str, int], ...],
    as_graph: bool,
    depth: int | None,
    output_format: str,
) -> None:
    """Tell what is in MODEL: what it takes and gives, its operators, weights and cost.

    MODEL is a name in the repository or an .onnx file. Its weights are not read, however large they
    are. Cost is for one sample, dynamic dimensions being 1 unless --size says otherwise.
    """
    from dataclasses import asdict

    from tritonforge import graph

    if depth is not None and not as_graph:
        raise click.UsageError("--depth opens the tree of --graph")
    path = options.model_file(model, model_repository, model_version)
    if as_graph:
        found = graph.outline(path, dict(sizes))
        if output_format == "json":
            output.as_json({"path": str(path), "graph": asdict(found)})
        else:
            tree.show(found, depth)
        return
    facts = graph.inspect(path, dict(sizes))
    if output_format == "json":
        output.as_json({"path": str(path), **asdict(facts)})
        return
    click.echo(f"{path}, {figures.of(facts.bytes, 'B')}")
    _print(facts)


def _print(found: "Inspection") -> None:
    """Print what a person wants to know, the whole first."""
    output.table(("what", "value"), [*_whole(found), *_cost(found)], left=2)
    lines = [
        (
            each.op,
            each.domain if each.kind == "standard" else f"{each.domain} ({each.kind})",
            str(each.count),
            "unknown" if each.uncounted else short(each.flops),
        )
        for each in found.operators
    ]
    output.table(("operator", "domain", "count", "FLOPs"), lines, left=2)
    large = [each for each in found.largest if each.bytes >= _COMMON * found.weight_bytes]
    if len(large) > 1:
        rows = [
            (each.name, f"{each.dtype} {list(each.dims)}", figures.of(each.bytes, "B"))
            for each in large[:_SHOWN]
        ]
        output.table(("largest weights", "type", "size"), rows, left=2)
    for fault in found.faults:
        hint = next((each.hint for each in found.external if each.fault == fault), None)
        click.echo(f"Fault: {fault}{f' ({hint})' if hint else ''}")


def _whole(found: "Inspection") -> list[tuple[str, str]]:
    """Lay out what the file says of itself."""
    opsets = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
    odd = [each for each in found.operators if each.kind != "standard"]
    told = ", ".join(f"{each.op} ({each.domain}, {each.kind})" for each in odd)
    return [
        ("producer", found.producer or "not said"),
        ("IR", str(found.ir)),
        ("opsets", opsets),
        *(("input", _value(each)) for each in found.inputs),
        *(("output", _value(each)) for each in found.outputs),
        ("parameters", short(found.parameters)),
        *(("weights", _weights(each)) for each in found.weights),
        *(("weights in", _external(each)) for each in found.external),
        ("nodes", str(found.nodes)),
        *([("not of ONNX", told)] if odd else []),
        *(("function", name) for name in found.functions),
    ]


def _cost(found: "Inspection") -> list[tuple[str, str]]:
    """Lay out what it takes to run."""
    memory = found.activation_bytes
    sizes = ", ".join(f"{dim}={size}" for dim, size in found.sizes.items())
    return [
        *(("subgraph", _subgraph(each)) for each in found.subgraphs),
        ("FLOPs", _flops(found)),
        ("activations", "unknown" if memory is None else figures.of(memory, "B")),
        *([("at sizes", sizes)] if sizes else []),
    ]


def _value(value: "Value") -> str:
    dims = "of unknown shape" if value.dims is None else f"[{', '.join(map(str, value.dims))}]"
    return f"{value.name} {value.type} {dims}"


def _weights(weights: "Weights") -> str:
    tensors = "1 tensor" if weights.tensors == 1 else f"{weights.tensors} tensors"
    return f"{figures.of(weights.bytes, 'B')} of {weights.dtype} in {tensors}"


def _external(external: "External") -> str:
    """Name a file of weights, and what is wrong with it."""
    held = "" if external.bytes is None else f", {figures.of(external.bytes, 'B')}"
    return f"{external.location}{held}{' (fault)' if external.fault else ''}"


def _subgraph(graph: "Subgraph") -> str:
    nodes = "1 node" if graph.nodes == 1 else f"{graph.nodes} nodes"
    cost = f"{'at least ' if graph.uncounted else ''}{short(graph.flops)} FLOPs"
    return f"{graph.op} {graph.node}, {graph.branch}: {nodes}, {cost}"


def _flops(found: "Inspection") -> str:
    """Write what is known, and what is not."""
    if not found.uncounted:
        return short(found.flops)
    return f"at least {short(found.flops)}; unknown of {', '.join(found.uncounted)}"
