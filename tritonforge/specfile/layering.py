"""One spec of several layers: the model's table lies over the defaults, flags over all.

Of each table, an environment's lies over the one without. What is said above wins, table by table
and key by key; a list is replaced whole. Of fields that exclude each other the upper one stands
alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tritonforge import pbtxt, release, sources
from tritonforge.spec import ModelSpec
from tritonforge.specfile.checking import split, under
from tritonforge.specfile.keys import KEYS, ROOTED
from tritonforge.specfile.lines import At
from tritonforge.specfile.reading import SpecFile
from tritonforge.specfile.values import check_numbers, domains, fits

_DEFAULT = "default"
_HF = "hf:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value that a model's spec holds, under which key, and who said so."""

    at: At
    value: Any
    origin: str

    @property
    def key(self) -> str:
        """Return the key as a person writes it."""
        return ".".join(map(str, self.at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one place says of a model; `origins` names the place of each key, or of all."""

    said: Mapping[str, Any]
    origins: Mapping[At, str]

    def origin(self, at: At) -> str:
        """Say where a key was said: it, or what it lies in."""
        for length in range(len(at), 0, -1):
            if at[:length] in self.origins:
                return self.origins[at[:length]]
        return ""


def layers(file: SpecFile, model: str | None, env: str | None) -> Iterator[Layer]:
    """Yield what a file says of a model, the lowest layer first; None for its defaults alone."""
    for table in file.tables(model, env):
        said = file.table(table)
        said.pop("repository", None)
        origins = {
            at[len(table) :]: f"{file.path}:{line}"
            for at, line in file.lines.items()
            if at[: len(table)] == table and len(at) > len(table)
        }
        yield Layer(said=_rooted(said, file), origins=origins)


def _rooted(said: dict[str, Any], file: SpecFile) -> dict[str, Any]:
    """Read the paths of a table from the file's own folder on."""
    folder = file.path.parent

    def path(text: str) -> str:
        return str(folder / text)

    for key in ROOTED:
        if isinstance(value := said.get(key), Mapping):
            said[key] = {name: path(each) for name, each in value.items()}
        elif isinstance(value, str):
            said[key] = path(value)
        elif value is not None:
            said[key] = [path(each) for each in value]
    if said.get("weights", "default") not in {"default", "random"}:
        said["weights"] = path(said["weights"])
    if "source" in said:
        before, name, behind = parted(said["source"], folder)
        said["source"] = before + (path(name) if name else "") + behind
    return said


def parted(source: str, folder: Path) -> tuple[str, str, str]:
    """Part a source into what stands before its path, the path from `folder` on, and the rest.

    The path is empty where the source names none; a Hugging Face model does where it is there.
    """
    if source.startswith(_HF):
        name, task, rest = source.removeprefix(_HF).partition("#")
        there = name and (folder / name).is_dir()
        return (_HF, name, task + rest) if there else (source, "", "")
    name, factory, rest = source.partition(":")
    is_file = name.lower().endswith(sources.SUFFIXES)
    return ("", name, factory + rest) if is_file else (source, "", "")


def merged(stack: Sequence[Layer]) -> tuple[dict[str, Any], tuple[Value, ...]]:
    """Lay the layers over each other; return the whole, and each value with its origin."""
    whole: dict[str, Any] = {}
    origins: dict[At, str] = {}
    for layer in stack:
        _lay(whole, layer.said, (), layer, origins)
    values = tuple(
        Value(at=at, value=value, origin=origins.get(at, "")) for at, value in _leaves(whole, ())
    )
    return whole, values


def _lay(
    whole: dict[str, Any], said: Mapping[str, Any], at: At, layer: Layer, origins: dict[At, str]
) -> None:
    """Lay one table over another."""
    for key, value in said.items():
        here = (*at, key)
        for rival in pbtxt.rivals(at, key):
            if value is not False:
                whole.pop(rival, None)
        if isinstance(value, Mapping):
            below = whole.get(key)
            table = dict(below) if isinstance(below, Mapping) else {}
            whole[key] = table
            _lay(table, value, here, layer, origins)
            if not value:
                origins[here] = layer.origin(here)
        else:
            whole[key] = value
            origins[here] = layer.origin(here)


def _leaves(said: Any, at: At) -> Iterator[tuple[At, Any]]:
    """Yield the values of a document, lists whole and empty tables too."""
    for key, value in said.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*at, key))
        else:
            yield (*at, key), value


def spec_of(name: str, whole: Mapping[str, Any], *, named: bool) -> ModelSpec:
    """Make the spec of what was said of a model; raises `SpecError`.

    `name` is the model's where it is `named` so, else the source.
    """
    check_numbers(whole)
    ours, config = split(whole)
    wishes: dict[str, Any] = {}
    for key, value in ours.items():
        fits(value, KEYS[key].schema, (key,))
        with under(key):
            wishes[KEYS[key].field] = KEYS[key].read(value)
    with under("inputs"):
        wishes["domains"] = domains(ours.get("inputs", {}))
    standard = {"source": name, "target": release.find(release.EMBEDDED)}
    if named:
        standard["name"] = name
    return ModelSpec(**{**standard, **wishes, "config": config})


def defaults(values: Sequence[Value], spec: ModelSpec) -> Iterator[Value]:
    """Yield what nobody has said and a spec holds all the same."""
    said = {value.at[0] for value in values}
    held = {field.name for field in fields(spec)}
    for key in KEYS.values():
        if key.name not in said and key.field in held and key.field != "config":
            value = getattr(spec, key.field)
            if key.field == "target":
                value = spec.target.tag
            if isinstance(value, str | int | bool):
                yield Value(at=(key.name,), value=value, origin=_DEFAULT)
