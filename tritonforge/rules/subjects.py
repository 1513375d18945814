"""What rules judge: a config, a model as it lies in its folder, all models of a repository."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tritonforge.graph import CachedBy, External
from tritonforge.manifest import Manifest
from tritonforge.pbtxt import Misfit
from tritonforge.pbtxt.strict import Flaw
from tritonforge.release import Release
from tritonforge.repository import CONFIG
from tritonforge.rules.backends import ONNX, derived, is_untold
from tritonforge.tensors import Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A config's message, and the release that is to load it.

    `content` are the names in the first folder of the model, folders with a slash behind, by which
    the server tells the backend of a config that does not; None where that is not known.
    """

    message: Any
    release: Release
    content: tuple[str, ...] | None = None

    @property
    def backend(self) -> str:
        """Return the backend that serves it, nothing for an ensemble and where there is none.

        What does not tell is thought to be of ONNX Runtime where nothing is known of its folder.
        """
        if self.message.backend:
            return str(self.message.backend)
        if is_untold(self.message) and self.content is None:
            return ONNX
        return derived(self.message, self.content or (), self.release)

    @property
    def is_onnx(self) -> bool:
        """Say whether the ONNX Runtime backend serves it."""
        return self.backend == ONNX


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a model.py says: why Python cannot read it, and whether it may have a model's class.

    `python` is the version whose grammar was asked; `runs_nothing` says that the class is there,
    and has no `execute`.
    """

    python: tuple[int, int]
    broken: str | None = None
    may_have_class: bool = True
    runs_nothing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """The file of a version that the server loads; `path` is relative to the model's folder.

    `missing` says that nothing is there, `fault` why it cannot be read, `lost` what became of
    the process that read it. `content` is None then, and of a file for another backend; `script` is
    what one of Python's backend says. `strayed` are the links beside one that is missing which lead
    nowhere, and where they say.
    """

    path: str
    missing: bool = False
    strayed: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None
    lost: str | None = None
    content: "Content | None" = None
    script: Script | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file that can be read says, told without loading it.

    `has` is what it takes and gives, `served` the config with which the server serves it, `misfits`
    why that does not fit. `refusal` says why the release's ONNX Runtime does not load it.
    `domains` are those of its operators; `inner` counts those with graphs in them, such as loops,
    `on_cpu` those that a GPU leaves to the CPU, `widened` those that it computes in more bits.
    `cached_by` is what tells TensorRT's engines of it from others. `path` is the file's.
    """

    path: str
    has: Interface
    served: Any
    misfits: tuple[Misfit, ...]
    refusal: str | None
    externals: tuple[External, ...]
    domains: tuple[str, ...]
    inner: Mapping[str, int]
    cached_by: CachedBy
    on_cpu: Mapping[str, int]
    widened: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Why a config was not read, in a sentence without an end; whether the server reads it."""

    said: str
    loads: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A file of labels, as an output names it; `lines` is None where they were not counted.

    `returns` are lines that end as in Windows, with a carriage return before the line feed. One
    that `is_pointer` is what Git LFS puts in the place of a file.
    """

    file: str
    lines: int | None
    is_there: bool = False
    is_folder: bool = False
    is_outside: bool = False
    returns: int = 0
    is_pointer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as it lies in the folder of its name.

    `text` is its config's, None where it has none; `config` is None where that cannot be read, and
    `flaws` say what is wrong with it. `entries` are the names in its folder, folders with a slash
    behind, and `inside` the names in each of those; `broken` are links that lead nowhere. `closed`
    are folders that may not be read, and why, `cut` those of which not all names are read; the
    model's own is the empty name.
    `versions` are those that the server would load, by its own reading of the folders' names.
    `files` are theirs where a backend of Triton's own serves them, `manifests` what tritonforge
    wrote of those that it built. `backend` is the one that the server takes, None where nothing
    tells it. `damaged` are versions whose manifest cannot be read, and why; `altered` names the
    files of versions that are not those of the manifest. `labels` are by the output's name. One
    that `is_lost` is a link that leads nowhere. `unread` says why the config was not read, whose
    text is empty then.
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
    inside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    closed: Mapping[str, str] = field(default_factory=dict)
    cut: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()
    backend: str | None = "onnxruntime"
    damaged: Mapping[int, str] = field(default_factory=dict)
    altered: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, Labels] = field(default_factory=dict)
    is_lost: bool = False
    unread: Unread | None = None

    @property
    def message(self) -> Any:
        """Return its config's message, None where it has none that can be read."""
        return None if self.config is None else self.config.message

    @property
    def folders(self) -> tuple[str, ...]:
        """Name the folders in its folder, whether the server takes them for versions or not."""
        return tuple(each.rstrip("/") for each in self.entries if each.endswith("/"))

    @property
    def is_nested(self) -> bool:
        """Say whether it is none, as its folders hold models in the place of versions."""
        inside = any(CONFIG in names for names in self.inside.values())
        return inside and CONFIG not in self.entries and not self.versions

    @property
    def contents(self) -> tuple[Content, ...]:
        """Return what its files say, of those that can be read, by their versions."""
        files = (file for _, file in sorted(self.files.items()))
        return tuple(file.content for file in files if file.content is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """All models of a repository, by name; `refused` are those that the server would not load.

    `cores` are the server's, None where they are not known.
    """

    path: Path
    models: Mapping[str, Model]
    refused: frozenset[str] = frozenset()
    cores: int | None = None


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
