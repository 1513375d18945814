"""What a build judges its file by: the model that it was made from."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tritonforge import graph, samples
from tritonforge.errors import GraphError
from tritonforge.exported import Exported
from tritonforge.sources import Loaded
from tritonforge.tensors import Run

if TYPE_CHECKING:
    from torch import nn


@contextlib.contextmanager
def opened(loaded: Loaded, exported: Exported) -> Iterator[tuple[Run, tuple[str, ...]]]:
    """Open what the file is judged by: eager torch, or the given file run as it is written.

    A note says where the given file is beyond the installed ONNX Runtime, and what ran it instead.
    """
    if loaded.path is None:
        from tritonforge import export

        yield _completed(export.eager(*_called(loaded, exported)), loaded), ()
        return
    with contextlib.ExitStack() as stack:
        try:
            session = graph.session(loaded.path, optimize=False, ir=exported.stamp.ir)
            run, notes = stack.enter_context(session), tuple[str, ...]()
        except GraphError as error:
            run = graph.evaluator(loaded.path)
            notes = (f"judged by ONNX's reference implementation, since {error.message}",)
        yield run, notes


def exact(loaded: Loaded, exported: Exported) -> Run:
    """Make the reference in double precision."""
    from tritonforge import export

    return _completed(export.exact(*_called(loaded, exported)), loaded)


def _completed(run: Run, loaded: Loaded) -> Run:
    """Return a `Run` of the module that takes what its file takes, which may be less."""
    return lambda arrays: run(samples.completed(arrays, loaded.inputs))


def _called(loaded: Loaded, exported: Exported) -> "tuple[nn.Module, list[str], list[str]]":
    """Return the module and the names of its inputs and outputs."""
    assert loaded.module is not None  # noqa: S101 - a source is a module or a file
    inputs = [each.name for each in loaded.inputs]
    return loaded.module, inputs, [each.name for each in exported.signature.outputs]
