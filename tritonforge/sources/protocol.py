"""What every kind of source offers: a module with these functions."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tritonforge.spec import Domain, ModelSpec, Range
from tritonforge.tensors import Arrays, TensorSpec

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A source in memory: a torch module in eval mode, or the path of an `.onnx` file.

    `inputs` are in the order of the module's arguments, their dims as the source knows them;
    `examples` hold arrays where the source brought some. `asked` says that every dynamic dimension
    was asked for by the user: then one that the exporter freezes fails the build, where otherwise
    it only costs the batching, or has its largest size. `traced` says that the module is written
    for the tracing exporter, which loses nothing of it. `prepared` is what the source's library
    does to a module, and to itself, for an export; it yields ONNX functions of its own by operator;
    `rewritten` says that nothing is to be exported without it.
    `weights` says in words where the weights come from, `labels` name the classes of the first
    output. `versions` are the libraries that took part. `read` are the files that a user's code
    reads to make the model, `unseen` says why those may not be all. `ranges` are the sizes of
    dynamic dimensions that the source knows, for which none are wished. `preprocessing` says of
    inputs, by name, how they are made of what a person has: facts for the manifest. `notes` are for
    the user.
    """

    module: "nn.Module | None" = None
    path: Path | None = None
    inputs: tuple[TensorSpec, ...] = ()
    examples: Arrays = field(default_factory=dict)
    domains: Mapping[str, Domain] = field(default_factory=dict)
    asked: bool = False
    traced: bool = False
    prepared: "Callable[[nn.Module], AbstractContextManager[Mapping[Any, Any]]] | None" = None
    rewritten: bool = False
    labels: tuple[str, ...] = ()
    weights: str
    weights_sha256: str | None
    versions: Mapping[str, str] = field(default_factory=dict)
    read: tuple[Path, ...] = ()
    unseen: str | None = None
    ranges: Mapping[str, Range] = field(default_factory=dict)
    preprocessing: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The user's file that a source is in, None where it cannot be found, and what of it it is."""

    path: Path | None
    part: str = ""


class Source(Protocol):
    """One kind of source; a module satisfies it with plain functions."""

    def claims(self, text: str) -> bool:
        """Say whether this kind reads `text`, by its form alone."""

    def model_name(self, text: str) -> str:
        """Return the text from which the default model name is made."""

    def origin(self, text: str) -> Origin | None:
        """Return the user's file that the source is in, None for one of a library's or a hub's."""

    def load(self, text: str, spec: ModelSpec) -> Loaded:
        """Load the model; raises `SourceError`."""
