"""From a torch module to an `.onnx` file, by either of torch's exporters; and the module itself."""

import contextlib
import dataclasses
import inspect
import linecache
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from tritonforge.errors import ExportError
from tritonforge.explain import Failure, failure
from tritonforge.tensors import Arrays, Run, TensorSpec

# The highest opset that the TorchScript exporter knows; beyond, it would only change the stamp.
TORCHSCRIPT_OPSET = 20

Method = Literal["dynamo", "torchscript"]
Call = tuple[tuple[Any, ...], dict[str, Any]]


class ExporterError(ExportError):
    """One exporter failed; `failure` says how, so that the caller may try the other."""

    def __init__(self, found: Failure) -> None:
        super().__init__(found.sentence, hint=found.hint)
        self.failure = found


def export(
    module: nn.Module,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[str],
    sample: Arrays,
    path: Path,
    *,
    method: Method,
    opset: int,
) -> tuple[str, ...]:
    """Export to `path` by one exporter at `opset` or as near as it comes; the file says which.

    `sample` holds example arrays; the named dims of `inputs` become dynamic dimensions of that
    name, none of which may have size 1 in the sample. Returns what the user should know of it.
    Raises `ExporterError`.
    """
    args, kwargs = _binder(module, [each.name for each in inputs])(_tensors(sample))
    axes = {
        each.name: {i: dim for i, dim in enumerate(each.dims) if isinstance(dim, str)}
        for each in inputs
    }
    options: dict[str, Any] = {
        "kwargs": kwargs or None,
        "input_names": list(kwargs or axes),
        "output_names": list(outputs),
        "opset_version": opset,
        "verbose": False,
    }
    if method == "dynamo":
        by_name = {name: axes[name] for name in kwargs}
        options |= {
            "dynamo": True,
            "external_data": False,
            "dynamic_shapes": by_name or _by_position(module, list(axes.values())),
        }
    else:
        options |= {"dynamo": False, "dynamic_axes": axes}
        options["opset_version"] = min(opset, TORCHSCRIPT_OPSET)
    try:
        with _quiet() as warned:
            torch.onnx.export(module, args, str(path), **options)
        return _traced_past(warned)
    except Exception as error:  # the exporters raise whatever their layers raise
        stack = _stack(module, args, kwargs, options) if method == "dynamo" else ""
        raise ExporterError(_named(failure(error, stack), inputs)) from error


def _named(found: Failure, inputs: Sequence[TensorSpec]) -> Failure:
    """Say a frozen dimension by the names that the user knows."""
    if found.frozen is None:
        return found
    which, axis, size = found.frozen
    by_name = {each.name: each for each in inputs}
    tensor = by_name.get(which) or inputs[int(which)]
    said = f"{tensor.dims[axis]!r}, dimension {axis} of input {tensor.name!r}, becomes {size}"
    return dataclasses.replace(found, said=said)


def _traced_past(warned: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """Name the lines where tracing decided by a tensor: the file then holds one side only."""
    lines = dict.fromkeys(
        (each.filename, each.lineno)
        for each in warned
        if "Python boolean" in str(each.message) and "site-packages" not in each.filename
    )
    return tuple(
        f"tracing decided at {Path(file).name}:{line}"
        f" (`{linecache.getline(file, line).strip()}`) and kept one side only; where that depends"
        " on values, script the model with torch.jit.script"
        for file, line in lines
    )


def is_scripted(module: nn.Module) -> bool:
    """Say whether the module is TorchScript, which only the TorchScript exporter reads."""
    return isinstance(module, torch.jit.ScriptModule)


def eager(module: nn.Module, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    """Return the module as a `Run` without gradients, its outputs flattened and named."""
    bind = _binder(module, inputs)

    def run(arrays: Arrays) -> Arrays:
        values = [value for _, value in _values(module, bind(_tensors(arrays)))]
        if len(values) != len(outputs):
            raise ExportError(
                f"the model returned {len(values)} tensors where it returned {len(outputs)} before",
                hint="return the same outputs whatever the inputs are",
            )
        named = zip(outputs, values, strict=True)
        return {name: value.detach().cpu().numpy() for name, value in named}

    return run


def output_names(module: nn.Module, inputs: Sequence[str], sample: Arrays) -> tuple[str, ...]:
    """Run the module once and name its outputs: dict keys and field names, else by position."""
    taken = list(inputs)
    for name, _ in _values(module, _binder(module, inputs)(_tensors(sample))):
        free = name
        while free in taken:
            free += "_out"
        taken.append(free)
    if len(taken) == len(inputs):
        raise ExportError("the model returns no tensor", hint="return at least one tensor")
    return tuple(taken[len(inputs) :])


def _values(module: nn.Module, call: Call) -> list[tuple[str, torch.Tensor]]:
    """Call the module and flatten what it returns."""
    args, kwargs = call
    try:
        with torch.inference_mode(), _quiet():
            returned = module(*args, **kwargs)
    except Exception as error:  # the user's model may raise anything
        found = failure(error, _traceback(error))
        raise ExportError(
            f"the model itself fails on {_shapes(call)}: {found.said}"
            + (f" at {found.where}" if found.where else ""),
            hint="check --input, --range and --domain: names, sizes and values must suit the model",
        ) from error
    return list(_flat("output", returned))


def _flat(name: str, value: Any, inside: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor of a nested result under a stable name; None is left out."""
    if isinstance(value, torch.Tensor):
        yield inside or name, value
        return
    parts: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        parts = [(str(key), part) for key, part in value.items()]
    elif dataclasses.is_dataclass(value):
        parts = [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = list(zip(value._fields, value, strict=True))
    elif isinstance(value, list | tuple) and len(value) == 1:
        yield from _flat(name, value[0], inside)
    elif isinstance(value, list | tuple):
        parts = [(f"{inside or name}_{index}", part) for index, part in enumerate(value)]
        inside = ""
    for key, part in parts:
        yield from _flat(name, part, f"{inside}_{key}" if inside else key)


def _binder(module: nn.Module, names: Sequence[str]) -> Callable[[Mapping[str, Any]], Call]:
    """Return how named values become the arguments of `forward`.

    By position where the names are its first arguments, or not its arguments at all; by keyword
    where some argument between is left out.
    """
    known = _arguments(module)
    first = [name for name, kind in known.items() if kind is not Parameter.KEYWORD_ONLY]
    if list(names) != first[: len(names)] and set(names) <= set(known):
        ordered = sorted(names, key=list(known).index)
        return lambda values: ((), {name: values[name] for name in ordered})
    return lambda values: (tuple(values[name] for name in names), {})


def _arguments(module: nn.Module) -> dict[str, Any]:
    """Return the arguments of `forward` and their kinds; a scripted module tells by its schema."""
    schema = getattr(module.forward, "schema", None)
    if schema is not None:
        return {each.name: Parameter.POSITIONAL_OR_KEYWORD for each in schema.arguments[1:]}
    parameters = inspect.signature(module.forward).parameters
    return {name: each.kind for name, each in parameters.items()}


def _by_position(module: nn.Module, axes: Sequence[Any]) -> tuple[Any, ...]:
    """Nest what stands for the arguments as torch.export has it: those of `*args` are one."""
    kinds = list(_arguments(module).values())
    if Parameter.VAR_POSITIONAL not in kinds[: len(axes)]:
        return tuple(axes)
    start = kinds.index(Parameter.VAR_POSITIONAL)
    return (*axes[:start], tuple(axes[start:]))


def _tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    """Turn arrays into tensors that own their memory."""
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _shapes(call: Call) -> str:
    """Print the shapes of a call's tensors."""
    args, kwargs = call
    return ", ".join(str(list(each.shape)) for each in (*args, *kwargs.values())) or "no inputs"


def _stack(module: nn.Module, args: Any, kwargs: Any, options: Mapping[str, Any]) -> str:
    """Capture the program again and return where in the user's code each operator comes from."""
    with contextlib.suppress(Exception), _quiet():  # it only serves an error that is on its way
        program = torch.export.export(
            module, args, kwargs, dynamic_shapes=_dims(options["dynamic_shapes"]), strict=False
        ).run_decompositions()
        for node in reversed(list(program.graph.nodes)):
            if _unknown(node):
                return f"op='{node.target}' not supported\n{node.meta.get('stack_trace', '')}"
    return ""


def _unknown(node: Any) -> bool:
    """Say whether the dynamo exporter has no function for a node."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    if node.op != "call_function":
        return False
    return not ONNXRegistry.from_torchlib().is_registered(node.target)


def _dims(shapes: Any) -> Any:
    """Replace names by `Dim.DYNAMIC`, which is how torch.export takes them."""
    if isinstance(shapes, str):
        return torch.export.Dim.DYNAMIC
    if isinstance(shapes, Mapping):
        return {key: _dims(value) for key, value in shapes.items()}
    return tuple(_dims(value) for value in shapes)


def _traceback(error: BaseException) -> str:
    """Return the traceback as text, for its file and line."""
    import traceback

    return "".join(traceback.format_tb(error.__traceback__))


@contextlib.contextmanager
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Keep the exporters' own chatter off the user's terminal; yields the warnings.

    The TorchScript exporter prints from C++, so the file descriptors themselves are turned aside.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(record=True, action="ignore") as warned,
        ):
            warnings.filterwarnings("always", message=".*Python boolean")
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
            yield warned
    finally:
        for number, handle in enumerate(kept, start=1):
            os.dup2(handle, number)
            os.close(handle)
        logging.disable(before)
