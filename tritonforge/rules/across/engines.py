"""Rules of TensorRT's engines that are kept in files.

ONNX Runtime calls an engine's file by a hash of the model file's name, of the names of inputs and
of what nodes give, and of versions; the weights are not in it (`TRTGenerateId`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from tritonforge.rules.config.accelerators import parameters
from tritonforge.rules.config.values import is_on
from tritonforge.rules.places import keyed
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import File, Model, Models
from tritonforge.stamp import sha256

_ENABLE, _PATH, _PREFIX = (f"trt_engine_cache_{word}" for word in ("enable", "path", "prefix"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A version whose engines are kept in files: `at` says so, `path` and `prefix` say where."""

    model: Model
    version: int
    file: File
    at: str
    path: str
    prefix: str

    @property
    def name(self) -> str:
        """Return what its engines are called by."""
        names = "" if self.file.content is None else self.file.content.cached_by.names
        return "\0".join((self.path, self.prefix, PurePath(self.file.path).name, names))

    @property
    def told(self) -> str:
        """Name it in a sentence."""
        return f"version {self.version} of {self.model.name!r}"


def _kept(models: Models) -> Iterator[_Kept]:
    """Yield the versions whose engines are kept."""
    for model in models.models.values():
        if model.config is None or not model.config.is_onnx:
            continue
        for prefix, given in parameters(model.config, "tensorrt"):
            if is_on(given.get(_ENABLE, "")):
                for version, file in model.files.items():
                    yield _Kept(
                        model=model,
                        version=version,
                        file=file,
                        at=keyed(prefix, _PATH if given.get(_PATH) else _ENABLE),
                        path=given.get(_PATH, ""),
                        prefix=given.get(_PREFIX, ""),
                    )


@rule("ENG201", "wrong")
def engines_are_told_apart(models: Models) -> Iterator[Found]:
    """No two models or versions with other weights share TensorRT's engines.

    An engine's file is called by names in the graph, and not by its weights. Of two exports of one
    architecture the second loads the engine of the first, without a word, and answers with its
    weights.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider_utils.h` (TRTGenerateId);
    triton-inference-server/onnxruntime_backend issue 124.
    Remedy: give each model a trt_engine_cache_path or trt_engine_cache_prefix of its own and empty
    it with each version; `tritonforge build` writes a key of the weights into the file's names.
    """
    first: dict[str, _Kept] = {}
    for each in _kept(models):
        other = first.setdefault(each.name, each)
        if other is not each and each.file.content is not None and _differ(each, other):
            yield Found(
                model=each.model.name,
                said=f"{each.told} takes the engines of {other.told} from"
                f" {each.path or 'the working folder'!r}: their names are the same, their weights"
                " are not",
                at=each.at,
            )


def _differ(one: _Kept, other: _Kept) -> bool:
    """Say whether two files, or weights beside them, are not the same; what is gone is not."""
    paths = [each.model.path / each.file.path for each in (one, other)]
    try:
        if sha256(paths[0]) != sha256(paths[1]):
            return True
        externals = one.file.content.externals if one.file.content is not None else ()
        beside = [each.location for each in externals]
        return any(sha256(paths[0].parent / e) != sha256(paths[1].parent / e) for e in beside)
    except OSError:
        return True


@rule("ENG301", "advice")
def engines_of_later_versions_are_told_apart(models: Models) -> Iterator[Found]:
    """What engines are cached by changes with the weights.

    Where nothing of a version's weights is in the names of its graph, the next version of the same
    architecture meets this one's engines in the cache, and answers with old weights.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider_utils.h` (TRTGenerateId).
    Remedy: build the version with `tritonforge build`, which writes a key of its weights into the
    names, or empty the cache with each new version.
    """
    for each in _kept(models):
        if each.file.content is not None and not each.file.content.cached_by.by_weights:
            yield Found(
                model=each.model.name,
                said=f"a version after {each.version} would take its engines from the cache"
                " where it has the same graph and other weights",
                at=each.at,
            )


@rule("ENG302", "advice")
def engines_have_a_place(models: Models) -> Iterator[Found]:
    """Engines that are kept have a folder of their own.

    Without trt_engine_cache_path they are written where the server was started, which goes with the
    container: after each start they are built anew.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`.
    Remedy: name a folder that outlives the container as trt_engine_cache_path.
    """
    told = set()
    for each in _kept(models):
        if not each.path and each.model.name not in told:
            told.add(each.model.name)
            said = f"engines are kept in the server's working folder, for want of a {_PATH}"
            yield Found(model=each.model.name, said=said, at=each.at)
