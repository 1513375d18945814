"""What the user wants of a model, from flags today; every value is checked where it is made.

None means «not said»: the default is then chosen by whoever knows more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tritonforge.errors import SpecError
from tritonforge.release import Release
from tritonforge.tensors import Dim, DType, TensorSpec

# Triton refuses names with `/` and `..`; the rest keeps URLs, paths and metrics labels plain.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}")
_WIDEST = 2**63  # numbers are drawn as 64 bit integers and floats
_DIM = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Which execution provider a model is built for; `tensorrt` leaves the rest to CUDA.
Accelerator = Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]
Device = Literal["cpu", "gpu"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
ON_GPU: frozenset[Accelerator] = frozenset({"cuda", "tensorrt"})  # those of a GPU of NVIDIA
Exporter = Literal["auto", "dynamo", "torchscript"]
Warmup = Literal["none", "zero", "random", "golden"]
DomainKind = Literal["normal", "uniform", "integers", "mask", "recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The sizes that a dynamic dimension takes, both ends included; `high` None is no limit.

    `step` leaves out all but every so many-th from `low` on: a U-Net wants multiples of 32. `opt`
    is the size that most requests have, for which TensorRT tunes its engines.
    """

    low: int = 1
    high: int | None = None
    step: int = 1
    opt: int | None = None

    def __post_init__(self) -> None:
        if self.low < 1:
            raise SpecError(f"a dimension cannot be smaller than 1, got {self.low}")
        if self.high is not None and self.high < self.low:
            raise SpecError(f"the range {self.low}..{self.high} is empty")
        if self.step < 1:
            raise SpecError(f"the step of a range is 1 or more, got {self.step}")
        if self.opt is not None and self.opt not in self:
            every = f" in steps of {self.step}" if self.step > 1 else ""
            raise SpecError(
                f"the optimum {self.opt} is not within {self}",
                hint=f"name one of the sizes from {self.low} on{every}",
            )

    @classmethod
    def parse(cls, text: str) -> "tuple[str, Range]":
        """Read `seq=1..512`, `seq=32`, `h=32..512:32` (every 32nd), `seq=1..512@128` (its optimum).

        Raises `SpecError`.
        """
        name, rest = _split(text, "--range", "seq=1..512")
        rest, at, opt = rest.partition("@")
        ends, colon, step = rest.partition(":")
        low, dots, high = ends.partition("..")
        try:
            return name, cls(
                low=int(low),
                high=int(high if dots else low),
                step=int(step) if colon else 1,
                opt=int(opt) if at else None,
            )
        except ValueError as error:
            raise SpecError(
                f"cannot read --range {text!r}",
                hint="write seq=1..512, h=32..512:32 or seq=1..512@128",
            ) from error

    def __contains__(self, size: int) -> bool:
        """Say whether a size is one that the dimension takes."""
        fits = self.low <= size and (self.high is None or size <= self.high)
        return fits and size == self.nearest(size)

    def __str__(self) -> str:
        high, step = "" if self.high is None else self.high, f":{self.step}" * (self.step > 1)
        opt = "" if self.opt is None else f"@{self.opt}"
        return f"{self.low}..{high}{step}{opt}"

    @property
    def largest(self) -> int | None:
        """Return the last size of the range's steps, None without a limit."""
        return None if self.high is None else self.nearest(self.high)

    @property
    def optimum(self) -> int | None:
        """Return the size to tune for: `opt`, else the largest; None where there is neither.

        Requests of the largest size take longest, and a batcher under load fills its batches.
        """
        return self.largest if self.opt is None else self.opt

    def nearest(self, size: int) -> int:
        """Return the largest size of the range's steps that is not above `size`, at least `low`."""
        return self.low + max(size - self.low, 0) // self.step * self.step


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What values an input holds, so that samples make sense.

    `normal`: mean `low`, deviation `high`. `uniform`: `low` ≤ x < `high`. `integers`: the same in
    whole numbers, such as token ids below a vocabulary; a float input is drawn as `uniform`.
    `mask`: ones then zeros along the last dimension, at least one 1, as tokenizers pad.
    `recorded`: the arrays of `values` in turn, cut or repeated to the size that is asked for.
    """

    kind: DomainKind
    low: float = 0
    high: float = 1
    values: tuple[np.ndarray, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind in {"uniform", "integers"} and not self.low < self.high:
            raise SpecError(f"the domain {self.low}..{self.high} is empty")
        if not all(abs(end) <= _WIDEST for end in (self.low, self.high)):
            raise SpecError(f"the domain {self.low}..{self.high} is wider than 64 bits")

    @classmethod
    def default(cls, dtype: DType) -> "Domain":
        """Return the plain domain of a dtype: standard normal floats, whole numbers 0 and 1."""
        return cls(kind="normal") if dtype.is_float else cls(kind="integers", low=0, high=2)

    @classmethod
    def parse(cls, text: str) -> "tuple[str, Domain]":
        """Read `ids=0..30000` (the end left out), `x=0..1.5`, `m=mask` or `x=normal`."""
        name, value = _split(text, "--domain", "ids=0..30000")
        if value == "mask":
            return name, cls(kind="mask")
        if value == "normal":
            return name, cls(kind="normal")
        low, _, high = value.partition("..")
        try:
            whole = all(end.strip().lstrip("-").isdigit() for end in (low, high))
            kind: DomainKind = "integers" if whole else "uniform"
            ends = (int(low), int(high)) if whole else (float(low), float(high))
        except ValueError as error:
            raise SpecError(
                f"cannot read --domain {text!r}",
                hint="write NAME=LOW..HIGH, NAME=mask or NAME=normal",
            ) from error
        return name, cls(kind=kind, low=ends[0], high=ends[1])

    @property
    def written(self) -> str:
        """Return the text that `parse` reads behind the name."""
        if self.kind in {"integers", "uniform"}:
            number = int if self.kind == "integers" else float
            return f"{number(self.low)}..{number(self.high)}"
        return self.kind

    def __str__(self) -> str:
        ends = "" if self.kind in {"mask", "recorded"} else f" {self.low:g}..{self.high:g}"
        return f"{self.kind}{ends}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far two values may lie apart: |got - want| <= atol + rtol * |want|; None is by dtype."""

    atol: float | None = None
    rtol: float | None = None

    def __post_init__(self) -> None:
        for name in ("atol", "rtol"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise SpecError(f"--{name} must be a number from 0 up, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """All that `build` was asked.

    `weights` is `default`, `random` or a path to a state dict. `samples` are files or folders of
    recorded inputs. `max_batch_size` counts samples, `cores` the CPU cores that the server will
    have for this model. `max_cpu_nodes` is how many nodes a GPU may lose to the CPU, shapes and the
    operators in `allow_cpu` aside; None for any number. `device` is what the server will have, by
    which the accelerator `auto` is decided. `precision` is what TensorRT may compute in; `bake`
    writes it into the file. `profiles` part the ranges into several of TensorRT's optimization
    profiles. `warmup` None is by accelerator. `labels` map outputs to files of class names,
    `states` inputs to the outputs that become them. `config` holds further fields of `ModelConfig`
    by their own names, `input` and `output` by tensor.
    """

    source: str
    target: Release
    name: str | None = None
    weights: str = "default"
    seed: int = 0
    sample_seed: int = 0
    inputs: tuple[TensorSpec, ...] = ()
    ranges: tuple[tuple[str, Range], ...] = ()
    domains: tuple[tuple[str, Domain], ...] = ()
    samples: tuple[Path, ...] = ()
    max_batch_size: int = 16
    opset: int | None = None
    exporter: Exporter = "auto"
    accelerator: Accelerator = "cpu"
    max_cpu_nodes: int | None = None
    allow_cpu: frozenset[str] = frozenset()
    tolerance: Tolerance = Tolerance()
    cores: int | None = None
    device: Device | None = None
    precision: Precision = "fp32"
    bake: bool = False
    profiles: tuple[Mapping[str, Range], ...] = ()
    warmup: Warmup | None = None
    labels: tuple[tuple[str, Path], ...] = ()
    states: tuple[tuple[str, str], ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.max_batch_size < 0:
            raise SpecError("--max-batch-size counts samples: 0 (no batching) or more")
        if self.max_cpu_nodes is not None and self.accelerator not in ON_GPU:
            raise SpecError(
                "--max-cpu-nodes counts what a GPU leaves to the CPU",
                hint="name it too: --accelerator cuda, or tensorrt",
            )
        if self.allow_cpu and self.max_cpu_nodes is None:
            raise SpecError("--allow-cpu excepts operators from --max-cpu-nodes: give that too")
        if self.cores is not None and self.cores < 1:
            raise SpecError("--cores must be 1 or more")
        if self.name is not None:
            check_name(self.name)
        for what, pairs in (("--range", self.ranges), ("--domain", self.domains)):
            names = [name for name, _ in pairs]
            if len(set(names)) != len(names):
                raise SpecError(f"{what} names {_twice(names)!r} twice")
        names = [tensor.name for tensor in self.inputs]
        if len(set(names)) != len(names):
            raise SpecError(f"--input names {_twice(names)!r} twice")


def parse_input(text: str) -> TensorSpec:
    """Read `ids:INT64:batch,seq`: a name is a dynamic dimension, a number a fixed one.

    An empty third part is a scalar. Raises `SpecError`.
    """
    parts = text.rsplit(":", 2)
    if len(parts) != 3 or not parts[0]:
        raise SpecError(f"cannot read --input {text!r}", hint="write ids:INT64:batch,seq")
    name, dtype, dims = parts
    written = [dim.strip() for dim in dims.split(",")] if dims else []
    return TensorSpec(
        name=name, dtype=DType.parse(dtype), dims=tuple(_dim(dim, text) for dim in written)
    )


def parse_size(text: str) -> tuple[str, int]:
    """Read `batch=8`, the size of a dynamic dimension; raises `SpecError`."""
    dim, _, size = text.partition("=")
    if not _DIM.fullmatch(dim) or not re.fullmatch(r"[0-9]{1,9}", size):
        raise SpecError(f"cannot read --size {text!r}", hint="write batch=8")
    return dim, int(size)


def check_name(name: str) -> str:
    """Return `name` where it can name a model; raise `SpecError` where Triton or a path cannot."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise SpecError(
            f"{name!r} cannot name a model",
            hint="use letters, digits, '_', '-', '+' and '.', a letter or digit first",
        )
    return name


def valid_name(text: str) -> str:
    """Turn any text into a valid model name: every run of other characters becomes one `_`."""
    name = re.sub(r"[^A-Za-z0-9_.+-]+|\.{2,}", "_", text).strip("_.+-")[:200]
    return check_name(name or "model")


def _dim(dim: str, text: str) -> Dim:
    """Read one dimension of an `--input`."""
    if dim.isascii() and dim.isdigit() and int(dim) > 0:
        return int(dim)
    if _DIM.fullmatch(dim):
        return dim
    raise SpecError(
        f"cannot read the dimension {dim!r} of --input {text!r}",
        hint="a number from 1 up is fixed, a name such as batch or seq is dynamic",
    )


def _split(text: str, option: str, example: str) -> tuple[str, str]:
    """Split `name=value`."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise SpecError(f"cannot read {option} {text!r}", hint=f"write {example}")
    return name, value


def _twice(names: list[str]) -> str:
    """Return the first name that comes again."""
    return next(name for index, name in enumerate(names) if name in names[:index])
