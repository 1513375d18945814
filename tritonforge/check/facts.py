"""What a model's file says, whatever its config: worked out once for each content."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import tritonforge
from tritonforge import formed, graph, placement
from tritonforge.check import remembering
from tritonforge.check.landing import landing
from tritonforge.check.sheltered import LostError, Shelter
from tritonforge.errors import GraphError
from tritonforge.graph import lean
from tritonforge.graph.external import Needed, needed, takes_in
from tritonforge.release import Release, find
from tritonforge.spec import Accelerator
from tritonforge.tensors import Interface

if TYPE_CHECKING:
    from onnx import ModelProto

_INNER = ("Loop", "Scan")
_TOOLS = ("onnx", "protobuf")
_OWN = ("data", "graph", "placement", "check")  # folders of what takes part, beside loose modules


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a file beside its place; see `rules.Content`, where each is told."""

    has: Interface
    refusal: str | None
    needs: tuple[Needed, ...]
    domains: tuple[str, ...]
    inner: Mapping[str, int]
    cached_by: graph.CachedBy
    on_cpu: Mapping[str, int]
    widened: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """For what a file is judged: a release, and what of a machine a config asks for.

    `may_use_gpu` says that a server with a GPU would put instances on it, asked for or not.
    """

    release: Release
    accelerator: Accelerator
    may_use_gpu: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What becomes of a file: its facts, and whether they depend on other files; or its fault."""

    facts: Facts | None = None
    depends: bool = False
    fault: str | None = None
    hint: str | None = None


class Known:
    """The facts of the files of one check, and on disk those of earlier ones.

    They are known again by what was read of a file, so that no date and no name matters.
    """

    def __init__(self, *, sheltered: bool = True) -> None:
        self.new = 0  # files that no check has known yet
        self._found: dict[str, Facts] = {}
        self._lost: dict[str, LostError] = {}
        self._disk = remembering.Shelf(remembering.folder(), Facts)
        self._shelter = Shelter(_answer) if sheltered else None

    def of(self, path: Path, asked: Asked) -> Facts:
        """Return the facts of a file; raises `GraphError` as `lean.read`, and `LostError`."""
        thin = lean.thin(path)
        key = _key(thin, asked)
        found = self._found.get(key) or self._disk.get(key)
        if found is None:
            found, depends = self._new(key, path, thin, asked)
            self.new += 1
            if depends:
                return found
            self._disk.put(key, found)
        self._found[key] = found
        return found

    def _new(self, key: str, path: Path, thin: bytes, asked: Asked) -> tuple[Facts, bool]:
        """Work out what no check has known yet, once also where that ends the worker."""
        if key in self._lost:
            raise self._lost[key]
        if self._shelter is None:
            return _worked_out(path, thin, asked)
        try:
            answer = self._shelter(_question(path, thin, asked))
        except LostError as error:
            self._lost[key] = error
            raise
        return _heard(answer)

    def close(self) -> None:
        """Forget on disk what is too much, and end what worked facts out."""
        self._disk.sweep()
        if self._shelter is not None:
            self._shelter.close()


def _question(path: Path, thin: bytes, asked: Asked) -> bytes:
    """Write what `_answer` reads: a line of JSON, then what was read of the file."""
    said = [str(path), asked.release.tag, asked.accelerator, asked.may_use_gpu]
    return json.dumps(said).encode() + b"\n" + thin


def _answer(question: bytes) -> bytes:
    """Work out what a file says, in a process of its own."""
    said, _, thin = question.partition(b"\n")
    path, tag, accelerator, gpu = json.loads(said)
    asked = Asked(release=find(tag), accelerator=accelerator, may_use_gpu=gpu)
    try:
        found, depends = _worked_out(Path(path), thin, asked)
    except GraphError as error:
        return remembering.as_json(_Answer(fault=error.message, hint=error.hint))
    return remembering.as_json(_Answer(facts=found, depends=depends))


def _heard(text: bytes) -> tuple[Facts, bool]:
    """Read what `_answer` wrote; raises its `GraphError`."""
    answer = remembering.from_json(_Answer, text)
    if answer.facts is None:
        raise GraphError(answer.fault or "", hint=answer.hint)
    return answer.facts, answer.depends


def _worked_out(path: Path, thin: bytes, asked: Asked) -> tuple[Facts, bool]:
    """Work out what a file says, of which this was read; and whether it depends on other files."""
    model = lean.parsed(thin, path)
    depends = takes_in(model)
    return _told(path, model, asked), depends


def _told(path: Path, model: "ModelProto", asked: Asked) -> Facts:
    """Work out what a file says; raises `GraphError` for one that does not hold together."""
    try:
        if (fault := graph.unsound(model)) is not None:
            raise GraphError(fault, hint="export the model again")
        found = _facts(path, model, asked)
        formed.check(found, Facts)
        return found
    except (TypeError, ValueError, AttributeError) as error:  # bytes in place of a text
        if graph.is_legible(model):
            raise
        raise GraphError("a text in it is not UTF-8", hint="download it again") from error


def _facts(path: Path, model: "ModelProto", asked: Asked) -> Facts:
    """Work out what a file says; small weights beside it are taken into the model, in place."""
    files = needed(model)
    given = placement.read(placement.prepared(path, model))
    refusal = placement.refusal(given, asked.release, gpu=asked.may_use_gpu)
    on_cpu, widened = ({}, {}) if refusal else landing(given, asked.release, asked.accelerator)
    if asked.may_use_gpu and asked.accelerator == "cpu":  # a GPU takes what the CPU lacks
        widened = {}
    return Facts(
        has=graph.interface(model, None if given.resolved is None else given.resolved.model),
        refusal=refusal,
        needs=files,
        domains=tuple(sorted(given.opsets.keys() - {each.domain for each in model.functions})),
        inner=dict(Counter(node.op for node in given.written if node.op in _INNER)),
        cached_by=graph.cached_by(model),
        on_cpu=on_cpu,
        widened=widened,
    )


def _key(thin: bytes, asked: Asked) -> str:
    """Return what tells a file's facts from others."""
    digest = hashlib.sha256(thin)
    digest.update(
        f"{asked.release.tag} {asked.accelerator} {asked.may_use_gpu} {_ourselves()}".encode()
    )
    return digest.hexdigest()


@cache
def _ourselves() -> str:
    """Return the hash of the code and tables that facts come of, and of the libraries' versions."""
    root = Path(tritonforge.__file__).parent
    digest = hashlib.sha256(" ".join(map(version, _TOOLS)).encode())
    own = [each for name in _OWN for each in (root / name).rglob("*")]
    for path in sorted([*root.glob("*.py"), *own]):
        if path.suffix in {".py", ".json"}:
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
