"""`manifest.json` beside a model: what it was built from, what was checked, and a golden sample.

The golden sample, `golden.npz`, holds inputs and what the original model made of them, so that any
later server can be judged without torch and without the source. `recorded.npz` holds what a person
has recorded of the inputs, where the samples were not drawn.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tritonforge import formed, presence
from tritonforge.errors import RepositoryError
from tritonforge.gate import GateReport, OutputReport, Worst
from tritonforge.spec import Domain, Range, Tolerance
from tritonforge.stamp import Stamp, sha256
from tritonforge.tensors import Arrays, DType, Signature, TensorSpec, texts

MANIFEST = "manifest.json"
GOLDEN = "golden.npz"
RECORDED = "recorded.npz"
_FORMAT = 1
_LARGEST = 16 << 20  # bytes: a manifest has some ten thousand
# What JSON of another shape raises, and that of deep nesting and of huge numbers.
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
_IN, _OUT = "in:", "out:"
_END = "."  # closes every string: numpy drops zeros at an end


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that a later command must know of a version.

    `weights` is what was asked (default, random, a file), `weights_origin` says in words where they
    came from. `versions` maps each tool that took part to its version; `files` stamps each file of
    the version; `config` is the text of `config.pbtxt` that the version was proven under;
    `reference` says what the gate compared with (`torch` or `onnx`), `loaded_by` which version of
    the target's own ONNX Runtime has loaded the file, None where it was not at hand. `opset` and
    `ir` are read back from the file. `inputs` is the hash of what was wished and of
    tritonforge itself, empty where not all that took part is known; `tools` maps every library that
    was loaded to its version, an empty one where it was not there; `read` and `beside` are the
    files that it was made from and those of the model's folder that it brought, with `files` all
    that a later build compares to see whether to build.
    `preprocessing` says of inputs, by name, how they are made of what a person has.
    `accelerator` is the one that it was built for, empty in manifests from before it was written.
    """

    source: str
    weights: str
    weights_origin: str
    weights_sha256: str | None
    seed: int
    sample_seed: int
    created: str
    target: str
    exporter: str
    opset: int
    ir: int
    max_batch_size: int
    reference: str
    loaded_by: str | None
    config: str
    versions: Mapping[str, str]
    signature: Signature
    domains: Mapping[str, Domain]
    ranges: Mapping[str, Range]
    tolerance: Tolerance
    gate: GateReport
    files: Mapping[str, Stamp] = field(default_factory=dict)
    input_specs: tuple[str, ...] = ()
    accelerator: str = ""
    inputs: str = ""
    read: Mapping[str, Stamp] = field(default_factory=dict)
    beside: Mapping[str, Stamp] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    preprocessing: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write(manifest: Manifest, version_dir: Path) -> None:
    """Write the manifest as the last file of a version."""
    document = asdict(replace(manifest, domains=_unrecorded(manifest.domains)))
    text = json.dumps({"format": _FORMAT, **document}, indent=2, default=_encode)
    (version_dir / MANIFEST).write_text(text + "\n", "utf-8")


def read(version_dir: Path, *, recorded: bool = True) -> Manifest | None:
    """Read the manifest of a version, None where there is none; raises `RepositoryError`.

    Without `recorded` the domains lack what was recorded of inputs.
    """
    path = version_dir / MANIFEST
    if not (path.is_symlink() or path.exists()):
        return None
    if (fault := presence.no_file(path)) is not None:
        raise RepositoryError(fault[0], hint="restore it, or build the version again")
    try:
        document = json.loads(_text(path))
        if document["format"] != _FORMAT:
            raise RepositoryError(
                f"{path} has format {document['format']}, this tritonforge reads {_FORMAT}",
                hint="use the tritonforge that built it, or build it again",
            )
        found = _decode(document, _read_recorded(version_dir) if recorded else {})
        formed.check(found, Manifest)
        return found
    except _DAMAGE as error:
        raise RepositoryError(
            f"{path} is damaged: {error}", hint="restore it, or build the version again"
        ) from error


def _text(path: Path) -> str:
    """Return the text of a manifest; raises `ValueError` for one that is too long."""
    with path.open("rb") as file:
        held = file.read(_LARGEST + 1)
    if len(held) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
    return held.decode("utf-8")


def stamps(folder: Path) -> dict[str, Stamp]:
    """Stamp each file of a folder but the manifest, by relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): Stamp.of(path) for path in paths if path.name != MANIFEST
    }


def altered(known: Manifest, version_dir: Path) -> tuple[str, ...]:
    """Name the files of a version that are missing or not those that were built."""
    return tuple(
        name
        for name, stamp in known.files.items()
        if not (path := version_dir / name).is_file() or sha256(path) != stamp.sha256
    )


def write_golden(version_dir: Path, inputs: Arrays, outputs: Arrays) -> None:
    """Write the golden sample; strings as text, nothing pickled."""
    arrays = {_IN + name: _storable(array) for name, array in inputs.items()}
    arrays |= {_OUT + name: _storable(array) for name, array in outputs.items()}
    np.savez(version_dir / GOLDEN, allow_pickle=False, **arrays)


def read_golden(version_dir: Path) -> tuple[Arrays, Arrays]:
    """Return the inputs and outputs of the golden sample; raises `RepositoryError`."""
    arrays = _arrays(version_dir / GOLDEN)
    return tuple(
        {name.removeprefix(mark): arrays[name] for name in arrays if name.startswith(mark)}
        for mark in (_IN, _OUT)
    )  # type: ignore[return-value]


def write_recorded(version_dir: Path, domains: Mapping[str, Domain]) -> None:
    """Write the values of recorded inputs; no file where there are none."""
    arrays = {
        f"{number}:{name}": _storable(array)
        for name, domain in domains.items()
        for number, array in enumerate(domain.values)
    }
    if arrays:
        np.savez(version_dir / RECORDED, allow_pickle=False, **arrays)


def _read_recorded(version_dir: Path) -> dict[str, tuple[np.ndarray, ...]]:
    """Return the recorded values of each input; raises `RepositoryError`."""
    found: dict[str, tuple[np.ndarray, ...]] = {}
    if (path := version_dir / RECORDED).is_file():
        for key, array in _arrays(path).items():
            name = key.partition(":")[2]
            found[name] = (*found.get(name, ()), array)
    return found


def _arrays(path: Path) -> Arrays:
    """Read an npz file; raises `RepositoryError` for a damaged one."""
    try:
        # Opened here, since numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: _restored(stored[name]) for name in stored.files}
    except Exception as error:  # zipfile, zlib and numpy have an error each
        raise RepositoryError(
            f"{path} cannot be read: {_plainly(error)}", hint="build the version again"
        ) from error


def _plainly(error: Exception) -> str:
    """Say why numpy cannot read a file, without its advice to unpickle it."""
    return "it holds no plain arrays" if "pickle" in str(error) else str(error)


def _storable(array: np.ndarray) -> np.ndarray:
    """Return an array that npz can hold without pickle; bytes that are no UTF-8 survive too."""
    if array.dtype.kind not in "OSU":
        return array
    plain = [item.decode("utf-8", "surrogateescape") + _END for item in texts(array).flat]
    return np.array(plain, dtype=np.str_).reshape(array.shape)


def _restored(array: np.ndarray) -> np.ndarray:
    """Return strings as Triton's protocol holds them: an object array of bytes."""
    if array.dtype.kind != "U":
        return array
    plain = (str(item).removesuffix(_END) for item in array.flat)
    items = [text.encode("utf-8", "surrogateescape") for text in plain]
    return np.array(items, dtype=object).reshape(array.shape)


def _unrecorded(domains: Mapping[str, Domain]) -> dict[str, Domain]:
    """Leave the recorded values out, which have a file of their own."""
    return {name: replace(domain, values=()) for name, domain in domains.items()}


def _encode(value: Any) -> Any:
    """Encode what JSON does not know."""
    if isinstance(value, DType):
        return value.name
    raise TypeError(f"cannot store {type(value).__name__}")


def _decode(document: dict[str, Any], recorded: Mapping[str, tuple[np.ndarray, ...]]) -> Manifest:
    """Build the manifest from its JSON; unknown keys of newer writers are left out."""
    names = {each.name for each in fields(Manifest)}
    plain = {key: value for key, value in document.items() if key in names}
    plain["signature"] = Signature(
        **{
            kind: tuple(_tensor(entry) for entry in document["signature"][kind])
            for kind in ("inputs", "outputs")
        }
    )
    plain["domains"] = {
        name: Domain(**{**value, "values": recorded.get(name, ())})
        for name, value in document["domains"].items()
    }
    plain["ranges"] = {name: Range(**value) for name, value in document["ranges"].items()}
    plain["tolerance"] = Tolerance(**document["tolerance"])
    plain["input_specs"] = tuple(document["input_specs"])
    for key in ("files", "read", "beside"):
        plain[key] = {name: _stamp(each) for name, each in document.get(key, {}).items()}
    outputs = tuple(_output(entry) for entry in document["gate"]["outputs"])
    plain["gate"] = GateReport(
        samples=document["gate"]["samples"],
        outputs=outputs,
        half=document["gate"].get("half", False),
    )
    return Manifest(**plain)


def _stamp(entry: dict[str, Any] | str) -> Stamp:
    """Build a stamp from its JSON; older manifests hold the hash alone."""
    if isinstance(entry, str):
        return Stamp(sha256=entry, size=-1, changed=-1)
    return Stamp(**entry)


def _tensor(entry: dict[str, Any]) -> TensorSpec:
    """Build a tensor spec from its JSON."""
    return TensorSpec(
        name=entry["name"], dtype=DType.parse(entry["dtype"]), dims=tuple(entry["dims"])
    )


def _output(entry: dict[str, Any]) -> OutputReport:
    """Build an output report from its JSON."""
    worst = entry["worst"]
    if worst is not None:
        worst = Worst(**{**worst, "index": tuple(worst["index"])})
    return OutputReport(**{**entry, "worst": worst})
