"""An NGC tag and what runs in it: versions and limits, read from `data/releases.json`."""

import json
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What runs in `nvcr.io/nvidia/tritonserver:<tag>-py3`; None is unknown.

    `opset` and `ir` are the highest that its ONNX Runtime loads, `cuda_opset` the highest at which
    its CUDA provider keeps a kernel for every common operator. Sources: see the data file.
    """

    tag: str
    triton: str
    onnxruntime: str
    tensorrt: str | None
    cuda: str | None
    python: str | None
    opset: int
    ir: int
    ml_opset: int
    cuda_opset: int

    @property
    def scalars(self) -> bool:
        """Say whether a model that does not batch may have tensors without dimensions."""
        return self.tag >= _SCALARS_SINCE

    def pin(self, opset: int | None = None) -> int:
        """Return the opset to write: `opset` where it is within the limits, else the default.

        The default is `cuda_opset`: the same file then runs on CPU and keeps its GPU kernels.
        Raises `SpecError` beyond the limits.
        """
        if opset is None:
            return self.cuda_opset
        if not LOWEST_OPSET <= opset <= self.opset:
            raise SpecError(
                f"opset {opset} is not within {LOWEST_OPSET} to {self.opset},"
                f" the limits of release {self.tag} (ONNX Runtime {self.onnxruntime})",
                hint=f"leave --opset out, or choose one up to {self.opset}",
            )
        return opset


def find(tag: str) -> Release:
    """Look up an NGC tag such as `24.10` or `24.10-py3`.

    Raises `SpecError` for a tag that is not in the table, whose ONNX Runtime is unknown, or whose
    image lacks the ONNX Runtime backend.
    """
    tag = tag.removesuffix("-py3")
    rows = _table()["releases"]
    if tag not in rows:
        near = get_close_matches(tag, rows, n=1, cutoff=0.8)
        hint = f"did you mean {near[0]}?" if near else f"known are {min(rows)} to {_newest()}"
        raise SpecError(f"unknown target {tag!r}", hint=hint)
    row = rows[tag]
    if not row["backend"]:
        raise SpecError(
            f"the image {tag}-py3 was published without the ONNX Runtime backend",
            hint="choose the release before or after it",
        )
    if row["ort"] is None:
        raise SpecError(
            f"the ONNX Runtime of release {tag} is not known yet, so its limits are not either",
            hint=f"the newest release known whole is {_newest()}",
        )
    limits = _table()["onnxruntime"][".".join(row["ort"].split(".")[:2])]
    return Release(
        tag=tag,
        triton=row["triton"],
        onnxruntime=row["ort"],
        tensorrt=row["tensorrt"],
        cuda=row["cuda"],
        python=row["python"],
        **limits,
    )


def of_triton(version: str) -> Release | None:
    """Look up the newest release with a version of Triton; None where none is known whole."""
    rows = _table()["releases"]
    found = [
        tag
        for tag, row in rows.items()
        if row["triton"] == version and row["ort"] is not None and row["backend"]
    ]
    return find(max(found)) if found else None


def _newest() -> str:
    """Return the newest tag that can be a target."""
    rows: dict[str, Any] = _table()["releases"]
    return max(tag for tag, row in rows.items() if row["ort"] is not None and row["backend"])


@cache
def _table() -> Any:
    """Read the data file once."""
    return json.loads(files("tritonforge").joinpath("data/releases.json").read_text("utf-8"))
