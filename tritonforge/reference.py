"""What a build judges its file by: the model that it was made from."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge import graph, samples
from tritonforge.errors import GraphError
from tritonforge.exported import Exported
from tritonforge.sources import Loaded
from tritonforge.tensors import Arrays, Run

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The original as a `Run`, and how to have it in double precision, None where there is no way.

    `leave` frees its memory until it is asked again, None where it stays. `notes` say where it is
    not what was given.
    """

    run: Run
    exact: Callable[[], Run] | None
    leave: Callable[[], None] | None
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def opened(loaded: Loaded, exported: Exported, folder: Path | None = None) -> Iterator[Judge]:
    """Open what the file is judged by: eager torch, or the given file run as it is written.

    With a `folder` it can leave the memory; that is where a module's weights are meanwhile. A note
    says where the given file is beyond the installed ONNX Runtime, and what ran it instead.
    """
    if loaded.path is not None:
        with _file(loaded.path, exported) as judge:
            yield judge if folder is not None else replace(judge, leave=None)
    elif folder is None:
        from tritonforge import export

        called = _called(loaded, exported)
        exact = partial(export.exact, *called)
        yield _completed(Judge(run=export.eager(*called), exact=exact, leave=None), loaded)
    else:
        with (
            tempfile.TemporaryDirectory(dir=folder) as aside,
            _module(loaded, exported, Path(aside, "weights")) as judge,
        ):
            yield _completed(judge, loaded)


def _completed(judge: Judge, loaded: Loaded) -> Judge:
    """Return a module that takes what its file takes, which may be less."""

    def completed(run: Run) -> Run:
        return lambda arrays: run(samples.completed(arrays, loaded.inputs, loaded.domains))

    exact = judge.exact
    again = None if exact is None else lambda: completed(exact())
    return replace(judge, run=completed(judge.run), exact=again)


@contextlib.contextmanager
def _module(loaded: Loaded, exported: Exported, path: Path) -> Iterator[Judge]:
    """Open a module that can leave; in double precision it is there once, and last."""
    from tritonforge import export

    called = _called(loaded, exported)
    with export.put_aside(called[0], path) as aside:
        eager = export.eager(*called)

        def run(arrays: Arrays) -> Arrays:
            aside.back()
            return eager(arrays)

        def exact() -> Run:
            aside.back()
            return export.exact(*called, copied=False)

        yield Judge(run=run, exact=exact, leave=aside.leave)


@contextlib.contextmanager
def _file(path: Path, exported: Exported) -> Iterator[Judge]:
    """Open a file, which is opened again when it has left and is asked."""
    runs: list[Run] = []
    with contextlib.ExitStack() as stack:

        def session() -> Run:
            return stack.enter_context(graph.session(path, optimize=False, ir=exported.stamp.ir))

        def evaluator() -> Run:
            return graph.evaluator(path)

        def leave() -> None:
            runs.clear()
            stack.close()

        begin, notes = session, tuple[str, ...]()
        try:
            runs.append(session())
        except GraphError as error:
            begin = evaluator
            runs.append(evaluator())
            notes = (f"judged by ONNX's reference implementation, since {error.message}",)

        def run(arrays: Arrays) -> Arrays:
            if not runs:
                runs.append(begin())
            return runs[0](arrays)

        yield Judge(run=run, exact=None, leave=leave, notes=notes)


def _called(loaded: Loaded, exported: Exported) -> "tuple[nn.Module, list[str], list[str]]":
    """Return the module and the names of its inputs and outputs."""
    assert loaded.module is not None  # noqa: S101 - a source is a module or a file
    inputs = [each.name for each in loaded.inputs]
    return loaded.module, inputs, [each.name for each in exported.signature.outputs]
