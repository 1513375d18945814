"""What the user wants of a model, from flags today; every value is checked where it is made.

None means «not said»: the default is then chosen by whoever knows more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tritonforge.errors import SpecError
from tritonforge.release import Release
from tritonforge.spec.domains import BOXES, Domain, DomainKind
from tritonforge.spec.names import check_name, valid_name
from tritonforge.spec.ranges import Range
from tritonforge.spec.written import parse_input, parse_size
from tritonforge.tensors import TensorSpec

__all__ = [
    "BOXES",
    "ON_GPU",
    "Accelerator",
    "Device",
    "Domain",
    "DomainKind",
    "Exporter",
    "ModelSpec",
    "Precision",
    "Range",
    "Tolerance",
    "Warmup",
    "check_name",
    "parse_input",
    "parse_size",
    "valid_name",
]


# Which execution provider a model is built for; `tensorrt` leaves the rest to CUDA.
Accelerator = Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]
Device = Literal["cpu", "gpu"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
ON_GPU: frozenset[Accelerator] = frozenset({"cuda", "tensorrt"})  # those of a GPU of NVIDIA
Exporter = Literal["auto", "dynamo", "torchscript"]
Warmup = Literal["none", "zero", "random", "golden"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far two values may lie apart: |got - want| <= atol + rtol * |want|; None is by dtype.

    `half` says that the model computes in half floats, whatever it gives.
    """

    atol: float | None = None
    rtol: float | None = None
    half: bool = False

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
    writes it into the file, but for the nodes of `keep_float`. `profiles` part the ranges into
    several of TensorRT's optimization profiles. `external_data` says whether weights lie in a file
    beside the model's; None where it would be over 2 GiB with them. `warmup` None is by
    accelerator. `labels` map outputs to files of class names, `states` inputs to the outputs that
    become them. `tensorrt` and `cuda` hold provider options by name, `config` further fields of
    `ModelConfig` by theirs, `input` and `output` by tensor. `templates` is a folder whose templates
    go before ours.
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
    external_data: bool | None = None
    accelerator: Accelerator = "cpu"
    max_cpu_nodes: int | None = None
    allow_cpu: frozenset[str] = frozenset()
    tolerance: Tolerance = Tolerance()
    cores: int | None = None
    device: Device | None = None
    precision: Precision = "fp32"
    bake: bool = False
    keep_float: frozenset[str] = frozenset()
    profiles: tuple[Mapping[str, Range], ...] = ()
    warmup: Warmup | None = None
    labels: tuple[tuple[str, Path], ...] = ()
    states: tuple[tuple[str, str], ...] = ()
    tensorrt: Mapping[str, str] = field(default_factory=dict)
    cuda: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    templates: Path | None = None

    def __post_init__(self) -> None:
        if self.max_batch_size < 0:
            raise SpecError("--max-batch-size counts samples: 0 (no batching) or more")
        if self.cores is not None and self.cores < 1:
            raise SpecError("--cores must be 1 or more")
        if self.name is not None:
            check_name(self.name)
        _check_accelerator(self)
        _check_names(self)


def _check_accelerator(spec: ModelSpec) -> None:
    """Raise `SpecError` for wishes that their accelerator or precision does not allow."""
    if spec.max_cpu_nodes is not None and spec.accelerator not in {*ON_GPU, "auto"}:
        raise SpecError(
            "--max-cpu-nodes counts what a GPU leaves to the CPU",
            hint="name it too: --accelerator cuda, or tensorrt",
        )
    if spec.accelerator == "auto" and spec.device is None:
        raise SpecError(
            "--accelerator auto decides by what the server will have",
            hint="declare it: --device cpu or --device gpu",
        )
    if spec.device == "cpu" and spec.accelerator in ON_GPU:
        raise SpecError(
            f"--device cpu has no GPU, and --accelerator {spec.accelerator} asks for one",
            hint="choose --device gpu, or --accelerator auto, which decides by the device",
        )
    if spec.allow_cpu and spec.max_cpu_nodes is None:
        raise SpecError("--allow-cpu excepts operators from --max-cpu-nodes: give that too")
    if spec.bake and spec.precision != "fp16":
        raise SpecError(
            f"--bake writes half floats into the file, and --precision is {spec.precision}",
            hint="give --precision fp16",
        )


def _check_names(spec: ModelSpec) -> None:
    """Raise `SpecError` for a name that is said twice."""
    for what, names in (
        ("--range", [name for name, _ in spec.ranges]),
        ("--domain", [name for name, _ in spec.domains]),
        ("--input", [tensor.name for tensor in spec.inputs]),
    ):
        if len(set(names)) != len(names):
            raise SpecError(f"{what} names {_twice(names)!r} twice")


def _twice(names: list[str]) -> str:
    """Return the first name that comes again."""
    return next(name for index, name in enumerate(names) if name in names[:index])
