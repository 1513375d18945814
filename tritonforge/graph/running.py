"""A session of ONNX Runtime as a `Run`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from tritonforge import tensors
from tritonforge.errors import GraphError
from tritonforge.graph.file import first_line, load
from tritonforge.tensors import Arrays, Dim, Run

# It would take this process with it, see `placement.recast`; what it computes stays the same.
_CRASHING = ["MatmulTransposeFusion"]


@contextmanager
def session(
    path: Path,
    *,
    optimize: bool = True,
    extra_outputs: tuple[str, ...] = (),
    ir: int | None = None,
) -> Iterator[Run]:
    """Open a CPU session of ONNX Runtime on a file and yield it as a `Run`.

    `optimize` False runs the graph as it is written. `extra_outputs` names inner values to return
    besides the outputs. A file of a newer IR than `ir` is stamped so: what it computes does not
    depend on it, but ONNX Runtime refuses what is newer than itself. Raises `GraphError`, when it
    opens and when a run fails.
    """
    opened = _open(path, optimize=optimize, extra_outputs=extra_outputs, ir=ir)
    names, held = [each.name for each in opened.get_outputs()], [opened]
    del opened

    def run(arrays: Arrays) -> Arrays:
        try:
            fed = {name: _text(array) for name, array in arrays.items()}
            return dict(zip(names, held[0].run(None, fed), strict=True))
        except Exception as error:  # as above
            shapes = ", ".join(f"{name} {list(each.shape)}" for name, each in arrays.items())
            hint = "sizes and values must suit the model: bound them by --range and --domain"
            if "division by zero" in str(error):
                hint = "keep zero out of what it divides by: --domain NAME=1..N"
            raise GraphError(
                f"ONNX Runtime fails on {shapes}: {first_line(error)}",
                hint=hint,
            ) from error

    try:
        yield run
    finally:
        held.clear()  # whoever keeps `run` does not keep the weights


def runtime() -> str:
    """Return the version of the installed ONNX Runtime, whichever package it came in."""
    import onnxruntime

    return str(onnxruntime.__version__)


def evaluator(path: Path) -> Run:
    """Return a file run by ONNX's own reference implementation: slow, but it knows every opset.

    Raises `GraphError`, when it opens and when a run fails.
    """
    from onnx.reference import ReferenceEvaluator

    try:
        opened = ReferenceEvaluator(load(path, weights=True))
    except Exception as error:  # it has no base for its errors
        raise GraphError(
            f"ONNX's reference implementation cannot run {path.name}: {first_line(error)}"
        ) from error

    def run(arrays: Arrays) -> Arrays:
        try:
            fed = {name: _text(array) for name, array in arrays.items()}
            answers = zip(opened.output_names, opened.run(None, fed), strict=True)
            return {name: np.asarray(answer) for name, answer in answers}
        except Exception as error:  # as above
            raise GraphError(
                f"ONNX's reference implementation fails on {path.name}: {first_line(error)}"
            ) from error

    return run


def output_dims(path: Path) -> dict[str, tuple[Dim | None, ...]]:
    """Open a session once and return each output's dims as ONNX Runtime infers them.

    It may know more than the file states, and a server holds a config against what it knows. None
    is a dimension without a name. Raises `GraphError` where an operator has no kernel.
    """
    opened = _open(path, optimize=False, packed=False)
    return {each.name: tuple(each.shape) for each in opened.get_outputs()}


def _open(
    path: Path,
    *,
    optimize: bool,
    packed: bool = True,
    extra_outputs: tuple[str, ...] = (),
    ir: int | None = None,
) -> Any:
    """Open a session; raises `GraphError`. Where it is never run, weights need not be `packed`."""
    import onnxruntime

    options = _options(optimize=optimize, packed=packed)
    source: Any = str(path)
    model = load(path) if extra_outputs or ir is not None else None
    if model is not None and (extra_outputs or model.ir_version > (ir or 0)):
        model.ir_version = min(model.ir_version, ir or model.ir_version)
        model.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, TensorProto.BOOL, None)
            for name in extra_outputs
        )
        source = model.SerializeToString()
        folder = str(path.parent.absolute())  # of what lies beside it, which bytes do not tell
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", folder
        )
    try:
        return onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"], disabled_optimizers=_CRASHING
        )
    except Exception as error:  # pybind exceptions without a common public base
        raise GraphError(
            f"ONNX Runtime {onnxruntime.__version__} refuses {path.name}: {first_line(error)}",
            hint="try another --exporter or --opset",
        ) from error


def _options(*, optimize: bool, packed: bool) -> Any:
    """Return the options of a session that runs beside torch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Its threads would spin between runs and take the cores from torch, which runs in turn with it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = _threads()
    if not packed:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _threads() -> int:
    """Return how many threads torch and OpenMP were told to take, 0 for as many as there are cores.

    ONNX Runtime does not ask by itself, and would take the cores of a build beside this one.
    """
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # a list is by nesting
    return int(said) if said.isascii() and said.isdigit() else 0


def _text(array: np.ndarray) -> np.ndarray:
    """Return strings as text: of `bytes` ONNX Runtime would take what `str` makes, "b'…'".

    What is no UTF-8 goes in as numpy's own bytes, which it reads to their first zero.
    """
    if array.dtype.kind != "O":
        return array
    try:
        texts = [item.decode() if isinstance(item, bytes) else item for item in array.flat]
    except UnicodeDecodeError:
        plain = tensors.texts(array)
        if any(b"\0" in item for item in plain.flat):
            raise
        return plain.astype(f"S{max(map(len, plain.flat)) + 1}")  # room for a zero
    return np.array(texts, dtype=object).reshape(array.shape)
