"""A TorchScript module that `torch.jit` saved, scripted or traced: `model.pt`."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tritonforge.errors import SourceError, SpecError, did_you_mean
from tritonforge.sources import given
from tritonforge.sources.given import model_name, origin
from tritonforge.sources.protocol import Loaded
from tritonforge.sources.torchscript import archive
from tritonforge.spec import ModelSpec
from tritonforge.stamp import sha256
from tritonforge.tensors import Dim, DType, TensorSpec

__all__ = ["SUFFIXES", "claims", "load", "model_name", "origin"]

SUFFIXES = (".pt", ".pth", ".ts", ".torchscript")
_TENSORS = frozenset({"Tensor", "Optional[Tensor]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A tensor that a module was traced with: torch's name of its dtype, and its shape."""

    dtype: str
    shape: tuple[int, ...]


def claims(text: str) -> bool:
    """Take every path that ends as TorchScript files do; weights do so too, and are told."""
    return text.lower().endswith(SUFFIXES)


def load(text: str, spec: ModelSpec) -> Loaded:
    """Load the module to the CPU in eval mode; a traced one may know its inputs, else `--input`."""
    import torch

    path = given.file(text)
    given.own_weights(spec, "a TorchScript file")
    if spec.exporter == "dynamo":
        raise SourceError(
            "the dynamo exporter does not read TorchScript", hint="leave --exporter out"
        )
    code = archive.check(path)
    if "ops.torchvision." in code:
        import torchvision  # noqa: F401 - which brings these operators to torch
    with archive.on_cpu(path, code) as file:
        seen = _remembered(path, file)
        module = _loaded(path, file).eval()
    if not hasattr(module, "forward"):
        raise SourceError(
            f"{path} has no forward", hint="script a module whose forward is the model"
        )
    return Loaded(
        module=module,
        inputs=_chosen(module.forward.schema.arguments[1:], seen, spec, text),
        examples={name: np.zeros(each.shape, np.int8) for name, each in seen.items()},
        asked=bool(spec.inputs),
        weights=f"file {text}",
        weights_sha256=sha256(path),
        versions={"torch": torch.__version__},
        read=(path.absolute(),),
    )


def _loaded(path: Path, file: Path, *, shapes: bool = False) -> Any:
    """Load `file`, which `path` was found to be; `shapes` has it know those of its trace."""
    import torch

    from tritonforge.sources import weights as states

    read: Any = torch.jit.load
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch would have everybody leave it
            return read(str(file), map_location="cpu", _restore_shapes=shapes)
    except Exception as error:  # a damaged archive fails in many ways
        raise SourceError(
            f"cannot read {path}: {states.reason(error)}",
            hint="save it again, by a torch that is no newer than this",
        ) from error


def _remembered(path: Path, file: Path) -> Mapping[str, Traced]:
    """Return what a trace keeps of the tensors that it was made with, by argument.

    They are read from a module of their own: one that is exported must not know its sizes.
    """
    if not archive.has(file, "traced_inputs.pkl"):
        return {}
    module = _loaded(path, file, shapes=True)
    arguments = module.forward.schema.arguments
    found = {}
    for argument, value in zip(arguments, module.graph.inputs(), strict=True):
        kind = value.type()
        if kind.kind() == "TensorType" and kind.sizes() is not None:
            dtype = str(kind.dtype()).removeprefix("torch.")
            found[argument.name] = Traced(dtype=dtype, shape=tuple(kind.sizes()))
    return found


def _chosen(
    arguments: Sequence[Any], seen: Mapping[str, Traced], spec: ModelSpec, text: str
) -> tuple[TensorSpec, ...]:
    """Return the inputs: as they are stated, else as the trace remembers; raises `SourceError`.

    Arguments with defaults are left out unless they are stated.
    """
    stated = {each.name: each for each in spec.inputs}
    takes = [each.name for each in arguments if str(each.type) in _TENSORS]
    demands = [each.name for each in arguments if not each.has_default_value()]
    for each in arguments:
        if each.name in demands and each.name not in takes:
            raise SourceError(
                f"the argument {each.name!r} of {text} is {each.type}, which no request carries",
                hint="script a module whose forward takes tensors, and the rest with defaults",
            )
    for name in stated:
        if name not in takes:
            raise SourceError(
                f"--input names {name!r}, which {text} does not take",
                hint=did_you_mean(name, takes) or f"it takes {', '.join(takes) or 'no tensor'}",
            )
    if missing := [name for name in demands if name not in stated and name not in seen]:
        raise SourceError(
            f"{text} does not say of what dtype and shape its inputs are: {', '.join(missing)}",
            hint="state them as they are, such as"
            + "".join(f" --input {name}:FP32:batch,3,224,224" for name in missing),
        )
    wanted = [name for name in takes if name in stated or name in demands]
    return tuple(stated.get(name) or _described(name, seen[name], text) for name in wanted)


def _described(name: str, seen: Traced, text: str) -> TensorSpec:
    """Describe a tensor that the module was traced with; its first dimension is the batch."""
    try:
        dtype = DType.parse(seen.dtype)
    except SpecError as error:
        raise SourceError(
            f"{text} was traced with the input {name!r} in {seen.dtype}, which cannot be served",
            hint="trace the module in float32 or float16",
        ) from error
    dims: tuple[Dim, ...] = ("batch", *seen.shape[1:]) if seen.shape else ()
    return TensorSpec(name=name, dtype=dtype, dims=dims)
