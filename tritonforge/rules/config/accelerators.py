"""Rules of execution accelerators: which there are, and what reads them."""

from collections.abc import Iterator, Mapping
from typing import Any

from tritonforge import knobs, pbtxt
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.rules.config.values import late
from tritonforge.rules.places import keyed, near, plain
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Config

_KINDS: tuple[tuple[str, knobs.Table], ...] = (
    ("gpu_execution_accelerator", "gpu_accelerators"),
    ("cpu_execution_accelerator", "cpu_accelerators"),
)


def _listed(config: Config, kind: str) -> Iterator[tuple[str, Any]]:
    """Yield the accelerators of a kind that a model of ONNX Runtime has, with their places."""
    if config.is_onnx:
        held = getattr(config.message.optimization.execution_accelerators, kind)
        yield from told_apart(f"optimization.execution_accelerators.{kind}", held)


def _read(config: Config) -> Iterator[tuple[str, Any, knobs.Table]]:
    """Yield the accelerators that the backend looks at, with their places and who may be one."""
    for kind, table in _KINDS:
        if kind.startswith("cpu") or pbtxt.may_use_gpu(config.message):
            yield from ((place, each, table) for place, each in _listed(config, kind))


def parameters(config: Config, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield place and parameters of each accelerator of a name for instances on a GPU."""
    for place, each, table in _read(config):
        known = knobs.since_in(table, each.name, config.release)
        if table == "gpu_accelerators" and each.name == name and known:
            yield f"{place}.parameters", each.parameters


@rule("ACC101", "refused")
def known(config: Config) -> Iterator[Found]:
    """An accelerator is one that the ONNX Runtime backend knows.

    Those for instances on a GPU are tensorrt and cuda, that for the CPU is openvino.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (LoadModel).
    Remedy: mend the name, or take the accelerator out.
    """
    release = config.release
    given = {(each.name, table) for _, each, table in _read(config)}
    for place, each, table in _read(config):
        names = knobs.sinces(table)
        if each.name not in names:
            taken = [name for name in names if knobs.since_in(table, name, release)]
            meant = plain(each.name, taken, [name for name in taken if (name, table) in given])
            yield Found(
                said=f"the ONNX Runtime backend of release {release.tag} knows no accelerator"
                f" {each.name!r} here, only {' and '.join(taken)}{near(meant or each.name, taken)}",
                at=place,
                changes=(Change(path=f"{place}.name", value=f'"{meant}"'),) if meant else (),
            )


@rule("ACC102", "refused")
def begun(config: Config) -> Iterator[Found]:
    """The release's ONNX Runtime backend knows the accelerator already.

    cuda is newer than tensorrt; without it ONNX Runtime uses CUDA all the same, with defaults.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc`, by release.
    Remedy: choose a newer release, or take the accelerator out.
    """
    for place, each, table in _read(config):
        since = knobs.sinces(table).get(each.name)
        if since is not None and not knobs.since_in(table, each.name, config.release):
            said = late(f"the accelerator {each.name}", f"since {since}", config.release)
            yield Found(said=said, at=place)


@rule("ACC103", "refused")
def once(config: Config) -> Iterator[Found]:
    """An accelerator is named once.

    ONNX Runtime registers a provider once, and fails at the second.

    Source: microsoft/onnxruntime, `execution_providers.h` (ExecutionProviders::Add).
    Remedy: put its parameters into one entry.
    """
    seen = set()
    for place, each, table in _read(config):
        if each.name != "cuda" and (each.name, table) in seen:  # that of CUDA is always one
            yield Found(said=f"{each.name} is named twice", at=place)
        seen.add((each.name, table))


@rule("ACC201", "wrong")
def on_a_gpu(config: Config) -> Iterator[Found]:
    """A model with an accelerator of GPUs has instances on a GPU.

    The backend reads it for these only.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (LoadModel).
    Remedy: write KIND_GPU, or take the accelerator out.
    """
    if not pbtxt.may_use_gpu(config.message):
        for place, _ in _listed(config, "gpu_execution_accelerator"):
            yield Found(said="no instance_group is of KIND_GPU, so nothing reads it", at=place)


@rule("ACC202", "wrong")
def openvino_without_parameters(config: Config) -> Iterator[Found]:
    """An accelerator of the CPU has no parameters.

    The backend hands none on to OpenVINO.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (LoadModel).
    Remedy: take them out.
    """
    release = config.release
    for place, each in _listed(config, "cpu_execution_accelerator"):
        if knobs.since_in("cpu_accelerators", each.name, release):
            for name in sorted(each.parameters):
                yield Found(
                    said=f"the ONNX Runtime backend of release {release.tag} reads no parameter of"
                    f" {each.name}, {name} neither",
                    at=keyed(f"{place}.parameters", name),
                )
