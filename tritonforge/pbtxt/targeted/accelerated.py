"""What a release's ONNX Runtime backend takes of a config: accelerators, parameters, graph level.

Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc`, by release.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tritonforge import knobs
from tritonforge.knobs import Key
from tritonforge.pbtxt.targeted.fault import Fault, error, ignored, near, told_apart, value_of
from tritonforge.pbtxt.targeted.profiles import profiles
from tritonforge.pbtxt.targeted.values import wanted
from tritonforge.release import Release

_ACCELERATORS = "optimization.execution_accelerators."
_ARENA, _SHRUNK = "enable_mem_arena", "memory.enable_memory_arena_shrinkage"
_STRATEGY = "TRITON_BATCH_STRATEGY_PATH"
# The first release that hands TensorRT's options on as text, which ONNX Runtime reads strictly.
_OPTIONS_AS_TEXT = "24.02"


def backend(message: Any, release: Release) -> Iterator[Fault]:
    """Yield what the backend refuses or passes over."""
    yield from _graph(message, release)
    yield from _parameters(message, release)
    yield from _arenas(message)
    accelerators = message.optimization.execution_accelerators
    for place, each in told_apart(
        f"{_ACCELERATORS}gpu_execution_accelerator", accelerators.gpu_execution_accelerator
    ):
        yield from _on_gpu(message, place, each, release)
    for place, each in told_apart(
        f"{_ACCELERATORS}cpu_execution_accelerator", accelerators.cpu_execution_accelerator
    ):
        yield from _on_cpu(place, each, release)


def _graph(message: Any, release: Release) -> Iterator[Fault]:
    """Yield a level that means nothing: the backend then optimizes all it can, as without one."""
    level = str(message.optimization.graph.level)
    levels = knobs.sinces("graph_levels")
    if not knobs.since_in("graph_levels", level, release):
        since = levels.get(level)
        known = f"is taken since {since}" if since else f"is none of {', '.join(levels)}"
        yield ignored(
            "optimization.graph.level",
            f"level {level} {known}; release {release.tag} optimizes as with level 0",
        )


# --- parameters of the model --------------------------------------------------------------------


def _parameters(message: Any, release: Release) -> Iterator[Fault]:
    """Yield the parameters that nobody reads, and values that cannot be read."""
    known, taken = knobs.known("parameters"), knobs.parameters(release)
    for name in sorted(message.parameters):
        path, text = f"parameters.{name}", message.parameters[name].string_value
        if name not in known:
            if _STRATEGY not in message.parameters:
                yield ignored(
                    path,
                    f"the ONNX Runtime backend of release {release.tag} reads no parameter"
                    f" {name}{near(name, taken)}",
                )
        elif name not in taken:
            yield ignored(path, _late(name, f"since {known[name].since}", release))
        elif taken[name].kind == "text" and taken[name].values:
            if text not in taken[name].values:
                either = " or ".join(taken[name].values)
                yield ignored(path, f"{text!r} is taken for unset; it should be {either}")
        else:
            yield from _value(path, text, taken[name], release, whole=False)


def _arenas(message: Any) -> Iterator[Fault]:
    """Yield where memory is to be given back by an arena that there is not: every request fails."""
    asked, arena = _text(message, _SHRUNK), _text(message, _ARENA).lower()
    if "cpu" in asked and arena in {"0", "false", "off"}:
        yield error(f"parameters.{_SHRUNK}", f"with {_ARENA} off the CPU has no arena to shrink")
    if "gpu" in asked and not _may_use_gpu(message):
        yield error(
            f"parameters.{_SHRUNK}", "without an instance on a GPU it has no arena to shrink"
        )


def _text(message: Any, name: str) -> str:
    """Return a parameter of the model; nothing for one that it has not."""
    return message.parameters[name].string_value if name in message.parameters else ""


def _may_use_gpu(message: Any) -> bool:
    """Say whether an instance is, or may come to be, on a GPU."""
    kinds = {value_of(each, "kind") for each in message.instance_group}
    return not kinds or not kinds <= {"KIND_CPU", "KIND_MODEL"}


def _late(name: str, since: str, release: Release) -> str:
    """Say that a release has not got a key yet."""
    return f"{name} is taken {since}, not yet by release {release.tag}"


def _value(path: str, text: str, key: Key, release: Release, *, whole: bool) -> Iterator[Fault]:
    """Yield a value that cannot be read, or that is newer than the release."""
    should = wanted(text, key, whole=whole)
    if should is not None:
        taken = [value for value, since in key.values.items() if knobs.begun(since, release)]
        should = " or ".join(taken) or should
        hint = near(text.upper(), taken)
        fails = "every request" if key.kind == "arenas" else "the load"
        yield error(path, f"{text!r} should be {should}, else {fails} fails{hint}")
    elif not knobs.begun(key.values.get(text), release):
        yield error(path, _late(text, f"since {key.values[text]}", release))


# --- accelerators -------------------------------------------------------------------------------


def _on_gpu(message: Any, place: str, entry: Any, release: Release) -> Iterator[Fault]:
    """Yield what is wrong of an accelerator for instances on a GPU."""
    if not _may_use_gpu(message):
        yield ignored(place, "no instance_group is of KIND_GPU, so nothing reads it")
        return
    if not knobs.since_in("gpu_accelerators", entry.name, release):
        yield _no_such(place, entry.name, "gpu_accelerators", release)
    elif entry.name == "tensorrt":
        yield from _tensorrt(f"{place}.parameters.", entry.parameters, message, release)
    else:
        yield from _cuda(f"{place}.parameters.", entry.parameters, release)


def _on_cpu(place: str, entry: Any, release: Release) -> Iterator[Fault]:
    """Yield what is wrong of an accelerator for instances on the CPU."""
    if not knobs.since_in("cpu_accelerators", entry.name, release):
        yield _no_such(place, entry.name, "cpu_accelerators", release)
        return
    for name in sorted(entry.parameters):
        yield ignored(
            f"{place}.parameters.{name}",
            f"the ONNX Runtime backend of release {release.tag} reads no parameter of"
            f" {entry.name}, {name} neither",
        )


def _no_such(place: str, name: str, table: knobs.Table, release: Release) -> Fault:
    """Say that an accelerator does not exist, or not yet, and what else there is."""
    known = knobs.sinces(table)
    if name in known:
        return error(place, _late(f"the accelerator {name}", f"since {known[name]}", release))
    taken = [each for each in known if knobs.since_in(table, each, release)]
    return error(
        place,
        f"the ONNX Runtime backend of release {release.tag} knows no accelerator {name!r} here,"
        f" only {' and '.join(taken)}{near(name, taken)}",
    )


def _tensorrt(
    prefix: str, given: Mapping[str, str], message: Any, release: Release
) -> Iterator[Fault]:
    """Yield the keys that the accelerator refuses, what cannot be read, and what has no effect."""
    known, taken = knobs.known("tensorrt"), knobs.tensorrt_keys(release)
    whole = knobs.begun(_OPTIONS_AS_TEXT, release)
    for name in sorted(given):
        path = f"{prefix}{name}"
        if name not in known:
            yield error(
                path,
                f"the accelerator tensorrt of release {release.tag} refuses the load for"
                f" a parameter {name}{near(name, taken)}",
            )
        elif name not in taken:
            yield error(path, _late(name, f"since {known[name].since}", release))
        else:
            wrong = [*_value(path, given[name], taken[name], release, whole=whole)]
            yield from wrong
            if not wrong and taken[name].idle(release) and given[name] != "FP32":
                yield ignored(
                    path,
                    f"{name} has no effect since {known[name].ends}: TensorRT 11 takes the"
                    f" precision of the file, so release {release.tag} needs that exported",
                )
    if knobs.begun(known["trt_profile_min_shapes"].since, release):
        yield from profiles(given, prefix, message)


def _cuda(prefix: str, given: Mapping[str, str], release: Release) -> Iterator[Fault]:
    """Yield the options that the provider refuses, and those that the backend sets anew."""
    known, taken, reset = knobs.known("cuda"), knobs.cuda_options(release), knobs.reset()
    runtime = f"ONNX Runtime {release.onnxruntime} of release {release.tag}"
    for name in sorted(given):
        path, text = f"{prefix}{name}", given[name]
        if name in reset:
            yield ignored(
                path,
                f"the backend of release {release.tag} sets {name} anew behind the accelerator;"
                f" write it as {reset[name]} instead",
            )
        elif name not in known:
            yield error(path, f"{runtime} knows no CUDA option {name}{near(name, taken)}")
        elif name not in taken:
            since = f"since ONNX Runtime {known[name].since}"
            yield error(path, f"{name} is a CUDA option {since}, not yet of {runtime}")
        elif text:  # the backend hands on no empty value
            yield from _value(path, text, taken[name], release, whole=True)
