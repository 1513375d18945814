"""From a torch module to an `.onnx` file, by either of torch's exporters."""

import contextlib
import dataclasses
import errno
import linecache
import warnings
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from tritonforge.errors import ExportError
from tritonforge.explain import Failure, failure
from tritonforge.export.calling import arguments, binder, tensors
from tritonforge.export.silence import quiet
from tritonforge.tensors import Arrays, TensorSpec

# The highest opset that the TorchScript exporter knows; beyond, it would only change the stamp.
TORCHSCRIPT_OPSET = 20

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Method = Literal["dynamo", "torchscript"]
# The opsets that each writes itself; others come by a conversion. dynamo's library is written for
# 18 (torch.onnx `_flags` and onnxscript `TORCHLIB_OPSET`).
NATIVE: Mapping[Method, Sequence[int]] = {
    "dynamo": (18,),
    "torchscript": range(7, TORCHSCRIPT_OPSET + 1),
}

# A context in which a module is exported; it yields ONNX functions by the operators they stand for.
Prepared = Callable[[nn.Module], contextlib.AbstractContextManager[Mapping[Any, Any]]]


def plainly(_: nn.Module) -> contextlib.AbstractContextManager[Mapping[Any, Any]]:
    """Export a module as it is."""
    return contextlib.nullcontext({})


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
    prepared: Prepared = plainly,
) -> tuple[str, ...]:
    """Export to `path` by one exporter at `opset` or as near as it comes; the file says which.

    `sample` holds example arrays; the named dims of `inputs` become dynamic dimensions of that
    name, none of which may have size 1 in the sample. `prepared` is what the module's library does
    to it for dynamo. Returns what the user should know of it.
    Raises `ExporterError`.
    """
    args, kwargs = binder(module, [each.name for each in inputs])(tensors(sample))
    axes = {
        each.name: {i: dim for i, dim in enumerate(each.dims) if isinstance(dim, str)}
        for each in inputs
    }
    options = {"output_names": list(outputs), **_options(module, kwargs, axes, method, opset)}
    try:
        with quiet() as warned, prepared(module) as translations:
            if translations:
                options["custom_translation_table"] = dict(translations)
            torch.onnx.export(module, args, str(path), **options)
        return _traced_past(warned)
    except Exception as error:  # the exporters raise whatever their layers raise
        if (refused := _of_the_disk(error)) is not None:
            raise refused from error
        stack = _stack(module, args, kwargs, options) if method == "dynamo" else ""
        raise ExporterError(_named(failure(error, stack), inputs)) from error


def _options(
    module: nn.Module,
    kwargs: Mapping[str, Any],
    axes: Mapping[str, Mapping[int, str]],
    method: Method,
    opset: int,
) -> dict[str, Any]:
    """Return what an exporter is told beside the names of outputs; `axes` name dynamic ones."""
    options: dict[str, Any] = {
        "kwargs": kwargs or None,
        "input_names": list(kwargs or axes),
        "opset_version": opset,
        "verbose": False,
    }
    if method == "torchscript":
        limited = min(opset, TORCHSCRIPT_OPSET)
        return options | {"dynamo": False, "dynamic_axes": axes, "opset_version": limited}
    by_name = {name: axes[name] for name in kwargs}
    return options | {
        "dynamo": True,
        "external_data": False,
        "dynamic_shapes": by_name or _by_position(module, list(axes.values())),
    }


def _of_the_disk(error: BaseException | None) -> OSError | None:
    """Return what the operating system refused for want of space, None where it did not."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error
        error = error.__cause__ or error.__context__
    return None


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


def _by_position(module: nn.Module, axes: Sequence[Any]) -> tuple[Any, ...]:
    """Nest what stands for the arguments as torch.export has it: those of `*args` are one."""
    kinds = list(arguments(module).values())
    if Parameter.VAR_POSITIONAL not in kinds[: len(axes)]:
        return tuple(axes)
    start = kinds.index(Parameter.VAR_POSITIONAL)
    return (*axes[:start], tuple(axes[start:]))


def _stack(module: nn.Module, args: Any, kwargs: Any, options: Mapping[str, Any]) -> str:
    """Capture the program again and return where in the user's code each operator comes from."""
    with contextlib.suppress(Exception), quiet():  # it only serves an error that is on its way
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
