"""Names for nodes that have none, so that they can be told from each other."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnx import GraphProto, ModelProto

from tritonforge.errors import GraphError
from tritonforge.graph import lean
from tritonforge.graph.beside import write
from tritonforge.graph.file import load
from tritonforge.graph.schemas import graphs_in
from tritonforge.graph.typed import node_name


def name_nodes(model: ModelProto) -> bool:
    """Name the nodes of a model that have no name by their place; say whether there were any."""
    return _name(model.graph, {node.name for node in model.graph.node})


def _name(graph: GraphProto, taken: set[str]) -> bool:
    changed = False
    for index, node in enumerate(graph.node):
        if not node.name:
            name, again = node_name(node, index), 1
            while name in taken:
                name, again = f"{node_name(node, index)}_{again}", again + 1
            node.name = name
            taken.add(name)
            changed = True
        for inner in graphs_in(node):
            changed |= _name(inner, taken | {each.name for each in inner.node})
    return changed


@contextmanager
def named(path: Path) -> Iterator[Path]:
    """Yield a file all whose nodes have names: the file itself, or a copy for the time being.

    The file itself, too, where it is too large to be written in one. Raises `GraphError` for a
    damaged one.
    """
    if not name_nodes(lean.read(path)):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        try:
            model = load(path)
            name_nodes(model)
            write(model, copy, beside=False, base=path.parent)
        except GraphError:
            copy = path
        yield copy
