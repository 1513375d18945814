"""What rules judge: a config, a model as it lies in its folder, all models of a repository."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge.graph import External
from tritonforge.manifest import Manifest
from tritonforge.pbtxt.strict import Flaw
from tritonforge.release import Release
from tritonforge.tensors import Signature

_BACKEND, _PLATFORM = "onnxruntime", "onnxruntime_onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A config's message, and the release that is to load it."""

    message: Any
    release: Release

    @property
    def is_onnx(self) -> bool:
        """Say whether the ONNX Runtime backend serves it, as one that names none is thought."""
        message = self.message
        return message.backend == _BACKEND or (
            not message.backend and message.platform in {"", _PLATFORM}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """The file of a version that the server loads, by what can be told without loading it.

    `path` is relative to the model's folder. `fault` says why it cannot be read, and nothing else
    is known then. `refusal` says why the release's ONNX Runtime does not load it.
    """

    path: str
    fault: str | None = None
    signature: Signature | None = None
    refusal: str | None = None
    externals: tuple[External, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as it lies in the folder of its name.

    `text` is its config's, None where it has none; `config` is None where that cannot be read, and
    `flaws` say what is wrong with it. `entries` are the names in its folder, folders with a slash
    behind. `files` are those of the versions that the server loads, by number, `manifests` likewise
    where tritonforge built them.
    """

    name: str
    path: Path
    release: Release
    entries: tuple[str, ...]
    text: str | None
    config: Config | None
    files: Mapping[int, File]
    manifests: Mapping[int, Manifest]
    flaws: tuple[Flaw, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """All models of a repository, by name."""

    path: Path
    models: Mapping[str, Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment of a config that speaks to tritonforge, as `# tritonforge: ignore BAT101, LAY`.

    `word` is what it asks for, `codes` what it names, codes or how they begin; `known` are those
    that there are. `silenced` are those of its codes by which something was silenced. One that
    `is_leading` stands before the first field.
    """

    word: str
    codes: tuple[str, ...]
    known: frozenset[str]
    silenced: frozenset[str]
    line: int
    column: int
    is_leading: bool

    @property
    def is_understood(self) -> bool:
        """Say whether it asks for something that can be done where it stands."""
        return self.word == "ignore" or (self.word == "ignore-file" and self.is_leading)
