"""A graph as people read it: a tree that fits about a screen, whatever its size."""

from collections import Counter
from typing import TYPE_CHECKING

import click

from tritonforge import figures
from tritonforge.cli import output
from tritonforge.figures import short

if TYPE_CHECKING:
    from tritonforge.graph import Outline

_LINES = 60  # the tree is opened as deep as that many hold
_HEAD, _TAIL = 30, 10  # shown of more lines than that on the first level
_DEEPEST = 20
_WIDEST = 36  # letters of the first column: the figures want their place
_NARROWEST = 12  # letters of a name, however deep it lies

Row = tuple[str, ...]


def show(root: "Outline", depth: int | None) -> None:
    """Print a graph to a depth; without one as deep as about a screen holds."""
    found = _lines(root, depth or 1)
    if depth is None:
        for deeper in range(2, _DEEPEST):
            more = _lines(root, deeper)
            if len(more) > _LINES or len(more) == len(found):
                break
            found = more
    rows = [_row(root, "", root)]
    if depth is None and len(found) > _LINES:
        left_out = [each for _, each in found[_HEAD:-_TAIL]]
        rows += [_row(each, lead, root) for lead, each in found[:_HEAD]]
        rows += [_gap(left_out, root)]
        rows += [_row(each, lead, root) for lead, each in found[-_TAIL:]]
    else:
        rows += [_row(each, lead, root) for lead, each in found]
    output.table(("graph", "gives", "nodes", "FLOPs", "weights"), rows, left=2)
    if any(each.times > 1 for _, each in found):
        click.echo("Numbers are of all repetitions (×) together.")
    if depth is None and len(found) > _LINES:
        click.echo("--depth 1 shows all of that level.")
        return
    shown = {id(each) for _, each in found}
    if depth is None and any(each.parts and id(each.parts[0]) not in shown for _, each in found):
        click.echo("--depth N opens further levels.")


def _lines(part: "Outline", depth: int, lead: str = "") -> list[tuple[str, "Outline"]]:
    """Return what is in a part, each with the branches that lead to it."""
    found = []
    for index, each in enumerate(part.parts):
        is_last = index == len(part.parts) - 1
        found.append((lead + ("└ " if is_last else "├ "), each))
        if depth > 1:
            found += _lines(each, depth - 1, lead + ("  " if is_last else "│ "))
    return found


def _row(part: "Outline", lead: str, root: "Outline") -> Row:
    """Write a line: shares of the whole, of which the first line tells the amount."""
    foreign = f" ({part.domain})" if part.domain not in {"", "ai.onnx"} else ""
    times = f" ×{part.times}" if part.times > 1 else ""
    label, place = part.label, max(_NARROWEST, _WIDEST - len(lead + foreign + times))
    if len(label) > place:
        label = f"{label[: place // 2]}…{label[-(place // 2) :]}"
    if part is root:
        cost, held = short(part.flops), figures.of(part.bytes, "B")
    else:
        cost, held = _share(part.flops, root.flops), _share(part.bytes, root.bytes)
    cost = f"{cost} + ?" if part.uncounted else cost
    return f"{lead}{label}{foreign}{times}", part.gives, str(part.nodes), cost, held


def _gap(parts: "list[Outline]", root: "Outline") -> Row:
    """Write a line in the place of many."""
    counts = Counter(each.op or "scope" for each in parts)
    common = ", ".join(f"{count} {op}" for op, count in counts.most_common(4))
    more = ", …" if len(counts) > 4 else ""
    flops, held = sum(each.flops for each in parts), sum(each.bytes for each in parts)
    return (
        f"… {len(parts)} more: {common}{more}",
        "",
        str(sum(each.nodes for each in parts)),
        _share(flops, root.flops),
        _share(held, root.bytes),
    )


def _share(count: int, whole: int) -> str:
    return "" if not count else f"{100 * count / whole:.1f}%"
