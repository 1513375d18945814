"""A function of the user's: `file.py:factory` or `pkg.module:factory`.

It takes nothing and returns an `nn.Module`, or the module with its example inputs: a tensor, a
tuple of tensors in the order of `forward`, or a dict of tensors by argument name.
"""

import contextlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritonforge.errors import SourceError, SpecError
from tritonforge.sources.factory import watched
from tritonforge.sources.protocol import Loaded, Origin
from tritonforge.spec import Domain, ModelSpec
from tritonforge.tensors import Arrays, Dim, DType, TensorSpec

if TYPE_CHECKING:
    from torch import nn

SUFFIX = ".py"
_FORM = re.compile(r"(?P<module>.+):(?P<factory>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)")


def claims(text: str) -> bool:
    """Take `something:name`."""
    return _FORM.fullmatch(text) is not None


def model_name(text: str) -> str:
    """Return the stem of the file, or the last part of the module, and the factory."""
    module, factory = text.rsplit(":", 1)
    stem = Path(module).stem if module.endswith(SUFFIX) else module.rsplit(".", 1)[-1]
    return f"{stem}_{factory}"


def origin(text: str) -> Origin:
    """Return the module's file, where a finder of Python's knows it, and the factory's name."""
    return Origin(path=_file(text), part=text.rsplit(":", 1)[1])


def _file(text: str) -> Path | None:
    """Return the module's file, None where no finder of Python's knows it; nothing is imported."""
    name = text.rsplit(":", 1)[0]
    if name.endswith(SUFFIX):
        return Path(name).resolve()
    if (loaded := sys.modules.get(name)) is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        origin = _found(name)
    return None if origin is None else Path(origin)


def _found(name: str) -> str | None:
    """Return where a module would be imported from, the current folder included."""
    folders: Any = None
    found = None
    for end in [at for at, letter in enumerate(name + ".") if letter == "."]:
        if found is not None and folders is None:  # no package
            return None
        specs = (finder.find_spec(name[:end], folders) for finder in sys.meta_path)
        found = next((spec for spec in specs if spec is not None), None)
        if found is None and "." not in name[:end]:
            found = PathFinder.find_spec(name[:end], [str(Path.cwd())])
        if found is None:
            return None
        folders = found.submodule_search_locations
    return found.origin if found is not None and found.has_location else None


def load(text: str, spec: ModelSpec) -> Loaded:
    """Call the factory under the seed and read its inputs from examples or from `--input`."""
    import torch

    from tritonforge.sources import weights as states

    module_name, factory_name = text.rsplit(":", 1)
    torch.manual_seed(spec.seed)
    unseen = _imported_before(module_name)
    with watched.opened(_file(text)) as reads, contextlib.redirect_stdout(sys.stderr):
        made = _call(text, _find(module_name, factory_name))  # what it prints is not our answer
    module, given = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, torch.nn.Module):
        raise SourceError(
            f"{text} returned {type(module).__name__}, not an nn.Module",
            hint="return the module, or the module and its example inputs",
        )
    module.eval()
    if spec.weights not in {"default", "random"}:
        states.load_file(module, Path(spec.weights))
    examples = {} if spec.inputs else _examples(text, module, given)
    return Loaded(
        module=module,
        inputs=spec.inputs or tuple(_describe(name, array) for name, array in examples.items()),
        examples=examples,
        domains={name: _seen(array) for name, array in examples.items()},
        asked=bool(spec.inputs),
        weights=f"as {text} made them, seed {spec.seed}"
        if spec.weights in {"default", "random"}
        else f"file {spec.weights}",
        weights_sha256=states.fingerprint(module),
        versions={"torch": torch.__version__},
        read=tuple(sorted(reads.paths)),
        unseen=unseen or reads.unseen,
    )


def _imported_before(name: str) -> str | None:
    """Say why what a module reads when it is imported was not seen, None where it is."""
    parts = name.split(".")
    names = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    if name.endswith(SUFFIX) or not any(map(watched.was_before, names)):
        return None
    return f"{name} was imported before, and nobody saw what it read then"


def _find(module_name: str, factory_name: str) -> Any:
    """Import the module and return the factory in it."""
    try:
        module = _import(module_name)
    except SourceError:
        raise
    except (Exception, SystemExit) as error:  # the user's file may raise anything
        raise _failed(f"cannot import {module_name}", error) from error
    found: Any = module
    for part in factory_name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        public = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        raise SourceError(
            f"{module_name} has no function {factory_name!r}",
            hint=f"it has {', '.join(public)}" if public else "define one that returns the model",
        )
    return found


def _import(name: str) -> Any:
    """Import a file by its path, or a module by its dotted name, the current folder included."""
    if not name.endswith(SUFFIX):
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.append(here)  # last: a neighbour must not take a library's place
        return importlib.import_module(name)
    path = Path(name).resolve()
    if not path.is_file():
        raise SourceError(f"no file {name}", hint="write file.py:factory")
    # Under a name of its own: `json.py` must not take json's place, nor one `nets.py` another's.
    alias = re.sub(r"\W", "_", str(path))
    spec = importlib.util.spec_from_file_location(alias, path)
    if spec is None or spec.loader is None:
        raise SourceError(f"{name} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    watched.alone(alias)
    if (folder := str(path.parent)) not in sys.path:
        sys.path.append(folder)  # so that it may import its neighbours; last, as above
    spec.loader.exec_module(module)
    return module


def _call(text: str, factory: Any) -> Any:
    """Call the factory; what it raises becomes a sentence that names its line."""
    try:
        return factory()
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise _failed(f"{text} failed", error) from error


def _failed(what: str, error: BaseException) -> SourceError:
    """Name the innermost line of the user's own code."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if "site-packages" not in each.filename]
    last = next((each for each in reversed(own) if each.filename != __file__), None)
    outside = last is not None and "importlib" not in last.filename
    where = f" at {Path(last.filename).name}:{last.lineno}" if last and outside else ""
    hint = "mend it there, or run it once in Python to see the whole traceback"
    if isinstance(error, ModuleNotFoundError):
        hint = f"install {error.name}, or run where it can be imported; a file is file.py:factory"
    return SourceError(f"{what}{where}: {type(error).__name__}: {error}", hint=hint)


def _examples(text: str, module: "nn.Module", given: Any) -> Arrays:
    """Name the example inputs after the arguments of `forward`."""
    import torch

    if given is None:
        raise SourceError(
            f"{text} does not say what its inputs are",
            hint="state them, --input x:FP32:batch,3,224,224, or return (module, example_inputs)",
        )
    if isinstance(given, Mapping):
        named = dict(given)
    else:
        values = tuple(given) if isinstance(given, tuple | list) else (given,)
        named = dict(zip(_arguments(module, len(values)), values, strict=True))
    for name, value in named.items():
        if not isinstance(value, torch.Tensor):
            raise SourceError(
                f"the example input {name!r} of {text} is a {type(value).__name__}, not a tensor"
            )
    return {name: _array(text, name, value) for name, value in named.items()}


def _array(text: str, name: str, example: Any) -> Any:
    """Turn an example into an array of a dtype that Triton takes."""
    try:
        array = example.detach().cpu().numpy()
        DType.from_numpy(array.dtype)
    except (TypeError, RuntimeError, SpecError) as error:  # torch: bfloat16; sparse; ours: complex
        raise SourceError(
            f"the example input {name!r} of {text} is {example.dtype}, which cannot be served",
            hint="make the example, and the model, float32 or float16",
        ) from error
    return array


def _arguments(module: "nn.Module", count: int) -> list[str]:
    """Return the first `count` argument names of `forward`."""
    schema = getattr(module.forward, "schema", None)  # a scripted module tells by its schema
    if schema is not None:
        names = [each.name for each in schema.arguments][1:]
    else:
        names = list(inspect.signature(module.forward).parameters)
    if len(names) < count:  # *args
        names += [f"input_{index}" for index in range(len(names), count)]
    return names[:count]


def _describe(name: str, array: Any) -> TensorSpec:
    """Describe an example: its first dimension is the batch, the others are what they are."""
    dims: tuple[Dim, ...] = ("batch", *array.shape[1:]) if array.ndim else ()
    return TensorSpec(name=name, dtype=DType.from_numpy(array.dtype), dims=dims)


def _seen(array: Any) -> Domain:
    """Guess the domain of an example: whole numbers up to the largest one seen."""
    dtype = DType.from_numpy(array.dtype)
    if dtype.is_float or dtype is DType.BOOL or array.size == 0:
        return Domain.default(dtype)
    return Domain(kind="integers", low=min(0, int(array.min())), high=int(array.max()) + 1)
