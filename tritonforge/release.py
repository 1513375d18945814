"""An NGC tag and what runs in it: versions and limits, read from `data/releases.json`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from tritonforge.errors import SpecError

# The release whose tritonserver ships in public wheels, hence the default target.
EMBEDDED = "24.10"
# The lowest opset that any torch exporter writes (torch.onnx, TorchScript exporter).
LOWEST_OPSET = 7
# The first release whose ONNX Runtime backend takes tensors without dimensions where nothing
# batches: `dims: [ 1 ]` then stands for them (onnxruntime_backend, `onnxruntime.cc`).
_SCALARS_SINCE = "23.10"


RUNTIME = "ort:"  # a target may be an ONNX Runtime instead of a tag
_IMAGE = re.compile(r"(?:(?:nvcr\.io/)?nvidia/)?tritonserver:")  # as written before a tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What runs in `nvcr.io/nvidia/tritonserver:<tag>-py3`; None is unknown.

    `tag` may also be `ort:1.19.2`, an ONNX Runtime of whose image nothing is known. `opset` and
    `ir` are the highest that its ONNX Runtime loads, `cuda_opset` the highest at which its CUDA
    provider keeps a kernel for every common operator, `capability` the least compute capability of
    a GPU. `parser` names the table of TensorRT's operators that foretells it, and `parser_source`
    says what it is taken from: `known`, `hinted` or `guessed`. Sources: see the data file.
    """

    tag: str
    triton: str | None
    onnxruntime: str
    tensorrt: str | None
    cuda: str | None
    python: str | None
    capability: str | None
    parser: str | None
    parser_source: str | None
    opset: int
    ir: int
    ml_opset: int
    cuda_opset: int

    @property
    def minor(self) -> tuple[int, int]:
        """Return the minor version of its ONNX Runtime, such as (1, 19): patches agree."""
        major, minor = self.onnxruntime.split(".")[:2]
        return int(major), int(minor)

    @property
    def scalars(self) -> bool:
        """Say whether a model that does not batch may have tensors without dimensions.

        An ONNX Runtime without an image is thought to be behind the newest backend.
        """
        return self.tag >= _SCALARS_SINCE  # letters come after digits

    def check_opset(self, opset: int) -> int:
        """Return an opset within the limits; raises `SpecError` beyond them."""
        if not LOWEST_OPSET <= opset <= self.opset:
            raise SpecError(
                f"opset {opset} is not within {LOWEST_OPSET} to {self.opset},"
                f" the limits of release {self.tag} (ONNX Runtime {self.onnxruntime})",
                hint=f"leave --opset out, or choose one up to {self.opset}",
            )
        return opset


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What is known of a tag, whether it can be a target or not; None is unknown.

    `backend` says that the image has the ONNX Runtime backend; `release` is None without it, or
    where the ONNX Runtime is unknown.
    """

    tag: str
    triton: str | None
    onnxruntime: str | None
    tensorrt: str | None
    cuda: str | None
    python: str | None
    capability: str | None
    backend: bool
    release: Release | None


def images() -> tuple[Image, ...]:
    """Return every known tag, the oldest first."""
    return tuple(map(image, _table()["releases"]))


def image(tag: str) -> Image:
    """Look up an NGC tag such as `24.10`, `24.10-py3` or with the image's name before it.

    Raises `SpecError` for an unknown one, and for an image of a release that is not its `-py3`.
    """
    rows = _table()["releases"]
    named, _, kind = _IMAGE.sub("", tag, count=1).partition("-")
    if named not in rows:
        raise _unknown(named if kind == "py3" else tag)
    if kind not in {"", "py3"}:
        raise SpecError(
            f"only the image {named}-py3 is known, not {named}-{kind}",
            hint=f"name that one, {named}, or an ONNX Runtime alone: {RUNTIME}X.Y.Z",
        )
    tag, row = named, rows[named]
    known = row["backend"] and row["ort"] is not None
    return Image(
        tag=tag,
        onnxruntime=row["ort"],
        backend=row["backend"],
        release=_release(tag, row) if known else None,
        **{key: row[key] for key in ("triton", "tensorrt", "cuda", "python", "capability")},
    )


def find(tag: str) -> Release:
    """Look up an NGC tag, see `image`, or an ONNX Runtime: `ort:1.19.2`.

    Raises `SpecError` for a tag that is not in the table, whose ONNX Runtime is unknown, or whose
    image lacks the ONNX Runtime backend.
    """
    if tag.startswith(RUNTIME):
        return _of_runtime(tag.removeprefix(RUNTIME))
    found = image(tag)
    if not found.backend:
        raise SpecError(
            f"the image {found.tag}-py3 was published without the ONNX Runtime backend",
            hint="choose the release before or after it",
        )
    if found.release is None:
        raise SpecError(
            f"the ONNX Runtime of release {found.tag} is not known yet, so its limits are not"
            " either",
            hint=f"the newest release known whole is {_newest()}; where you know its ONNX Runtime,"
            f" name that: --target {RUNTIME}X.Y.Z",
        )
    return found.release


def _of_runtime(version: str) -> Release:
    """Return an ONNX Runtime as a target; raises `SpecError` for one that is not in the table."""
    known = _table()["onnxruntime"]
    minors = list(known)
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", version) or _minor(version) not in known:
        raise SpecError(
            f"unknown ONNX Runtime {version!r}",
            hint=f"known are {RUNTIME}{minors[0]} to {RUNTIME}{minors[-1]}",
        )
    nothing = ("triton", "tensorrt", "cuda", "python", "capability")
    row = dict.fromkeys(nothing) | {"ort": version, "parser": (None, None)}
    return _release(f"{RUNTIME}{version}", row)


def _release(tag: str, row: Mapping[str, Any]) -> Release:
    """Put a row and the limits of its ONNX Runtime together."""
    parser, source = row["parser"]
    return Release(
        tag=tag,
        onnxruntime=row["ort"],
        parser=parser,
        parser_source=source,
        **{key: row[key] for key in ("triton", "tensorrt", "cuda", "python", "capability")},
        **_table()["onnxruntime"][_minor(row["ort"])],
    )


def _unknown(tag: str) -> SpecError:
    """Say that a tag is not in the table, and what to do."""
    rows = _table()["releases"]
    if re.fullmatch(r"\d\d\.(0[1-9]|1[0-2])", tag) and tag > max(rows):
        return SpecError(
            f"the target {tag!r} is newer than the table, which ends at {max(rows)}",
            hint=f"name its ONNX Runtime, as in --target {RUNTIME}{_newest_runtime()}, or add it"
            " with scripts/release_data (CONTRIBUTING.md)",
        )
    near = _near(tag)
    hint = f"known are {min(rows)} to {_newest()}"
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    return SpecError(f"unknown target {tag!r}", hint=hint)


def _near(tag: str) -> list[str]:
    """Return the tags that may be meant: of the same year, a month without its zero first."""
    rows = _table()["releases"]
    year, month = (*tag.split("."), "")[:2]
    if f"{year}.{month}" in rows:
        return [f"{year}.{month}"]
    if len(month) == 1:
        return [each for each in (f"{year}.0{month}", f"{tag}0") if each in rows]
    same = [each for each in rows if each.startswith(f"{year}.")]
    return get_close_matches(tag, same or rows, n=1, cutoff=0.8)


def of_triton(version: str) -> Release | None:
    """Look up the newest release with a version of Triton; None where none is known whole."""
    found = [each.release for each in images() if each.triton == version and each.release]
    return found[-1] if found else None


def _newest() -> str:
    """Return the newest tag that can be a target."""
    return [each.tag for each in images() if each.release][-1]


def _newest_runtime() -> str:
    """Return the newest minor version of ONNX Runtime in the table."""
    return str([*_table()["onnxruntime"]][-1])


def _minor(version: str) -> str:
    """Return `1.19` of `1.19.2`."""
    return ".".join(version.split(".")[:2])


@cache
def _table() -> Any:
    """Read the data file once."""
    return json.loads(files("tritonforge").joinpath("data/releases.json").read_text("utf-8"))
