"""State dicts from files, read without running code, and their fingerprint."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tritonforge.errors import SourceError
from tritonforge.sources.torchscript import archive
from tritonforge.spec import ModelSpec

# Under these keys training scripts keep the state dict beside other things.
_WRAPPERS = ("state_dict", "model_state_dict", "model")

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # which torch.load obeys above its own arguments

_AT = ("weights",)  # the key of a spec that an error is about

_PARALLEL = "module."  # before every key of what DistributedDataParallel saves

_REFUSED = re.compile(r"unsupported (?:global: )?(?:global|operand|class) \S+", re.IGNORECASE)


def load_file(module: nn.Module, path: Path) -> None:
    """Load a state dict (`.safetensors`, or torch's own format) into a module, strictly.

    One that a DistributedDataParallel saved loses its `module.`, unless the module has it too.

    Raises `SourceError` for a file that is missing, damaged, holds more than tensors, or fits
    another architecture.
    """
    state = _read(path)
    own = any(key.startswith(_PARALLEL) for key in module.state_dict())
    if state and not own and all(str(key).startswith(_PARALLEL) for key in state):
        state = {str(key).removeprefix(_PARALLEL): value for key, value in state.items()}
    try:
        module.load_state_dict(_shared(module, state), strict=True)
    except Exception as error:  # RuntimeError for what does not fit, others for what is no tensor
        lines = [line.strip() for line in str(error).splitlines()]
        raise SourceError(
            f"{path} does not fit the model: {' '.join(lines[1:3] or lines)[:400]}",
            hint="use weights of this very architecture",
            at=_AT,
        ) from error


def _shared(module: nn.Module, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give each name of a shared tensor what one of its names is given: a file may hold it once."""
    names: dict[tuple[int, torch.Size], list[str]] = {}
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, torch.Tensor) and tensor.numel():
            names.setdefault((tensor.data_ptr(), tensor.shape), []).append(name)
    given = dict(state)
    for group in names.values():
        held = [name for name in group if name in state]
        given |= {name: state[held[0]] for name in group if held and name not in state}
    return given


@contextmanager
def nothing_but_tensors() -> Iterator[None]:
    """Let torch unpickle nothing but tensors, whatever a library asks of it."""
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


def _read(path: Path) -> Mapping[str, Any]:
    """Read a state dict."""
    if not path.is_file():
        raise SourceError(
            f"no weights at {path}", hint="--weights takes default, random or a file", at=_AT
        )
    if archive.is_one(path):
        raise SourceError(
            f"{path} is a TorchScript model and not weights alone",
            hint=f"build it by itself: tritonforge build {path}",
            at=_AT,
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every format has its own way to be damaged
        raise SourceError(
            f"cannot read the weights {path}: {reason(error)}",
            hint="give a state dict saved by torch.save(model.state_dict(), …) or safetensors; "
            "files that would run code are refused",
            at=_AT,
        ) from error
    for key in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise SourceError(f"{path} holds a {type(state).__name__}, not a state dict", at=_AT)
    return state


def origin(spec: ModelSpec, default: str) -> str:
    """Say in words where weights come from; `default` says it of those that come by themselves."""
    if spec.weights == "random":
        return f"random, seed {spec.seed}"
    return default if spec.weights == "default" else f"file {spec.weights}"


def reason(error: Exception) -> str:
    """Say in a line why a file could not be read, without torch's advice to read it unsafely."""
    refused = _REFUSED.search(str(error))
    lines = str(error).split(". ")[0].splitlines()
    said = refused[0] if refused else next(filter(None, map(str.strip, lines)), "it ends too early")
    return f"{type(error).__name__}: {said}"[:200]


def fingerprint(module: nn.Module) -> str:
    """Return the sha256 over names, dtypes, shapes and bytes of a module's state."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            continue
        data = tensor.detach().cpu().contiguous()
        digest.update(f"{name}:{data.dtype}:{tuple(data.shape)};".encode())
        if data.numel():
            digest.update(data.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
