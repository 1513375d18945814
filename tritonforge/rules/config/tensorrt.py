"""Rules of the parameters of the accelerator tensorrt."""

from collections.abc import Iterator

from tritonforge import knobs
from tritonforge.rules.config.accelerators import parameters
from tritonforge.rules.config.values import is_on, newer, unreadable
from tritonforge.rules.places import keyed, near, renamed
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

# The first release that hands TensorRT's options on as text, which ONNX Runtime reads strictly.
_OPTIONS_AS_TEXT = "24.02"
_HEURISTICS = "trt_build_heuristics_enable"
# What ONNX Runtime's provider calls the backend's own parameters, which it hands on.
_OWN = {
    "trt_fp16_enable": "precision_mode with the value FP16",
    "trt_int8_enable": "precision_mode with the value INT8",
    "trt_max_workspace_size": "max_workspace_size_bytes",
}
# Switches of which one has to be on for a parameter to be read, the one that is meant first.
_SWITCHES = {
    "trt_engine_cache_path": (
        "trt_engine_cache_enable",
        "trt_timing_cache_enable",
        "trt_dump_ep_context_model",
    ),
    "trt_engine_cache_prefix": ("trt_engine_cache_enable",),
    "trt_timing_cache_path": ("trt_timing_cache_enable",),
    "trt_force_timing_cache": ("trt_timing_cache_enable",),
    "trt_dla_core": ("trt_dla_enable",),
    "trt_ep_context_file_path": ("trt_dump_ep_context_model",),
    "trt_ep_context_embed_mode": ("trt_dump_ep_context_model",),
}


def _given(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield the parameters: place, name and text."""
    for prefix, given in parameters(config, "tensorrt"):
        for name in sorted(given):
            yield keyed(prefix, name), name, given[name]


@rule("TRT101", "refused")
def known(config: Config) -> Iterator[Found]:
    """A parameter of the accelerator tensorrt is one that the backend knows.

    It refuses the load for any other, also for options that ONNX Runtime's TensorRT provider has.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (LoadModel).
    Remedy: mend the name, or take the parameter out.
    """
    release, named = config.release, knobs.known("tensorrt")
    taken = knobs.tensorrt_keys(release)
    for prefix, given in parameters(config, "tensorrt"):
        for name in sorted(given):
            if name not in named:
                yield Found(
                    said=f"the accelerator tensorrt of release {release.tag} refuses the load for"
                    f" a parameter {name}{_meant(name) or near(name, taken)}",
                    at=keyed(prefix, name),
                    changes=renamed(prefix, name, given[name], taken, given),
                )


def _meant(name: str) -> str:
    """Say how the backend calls an option of ONNX Runtime, in words that end a sentence."""
    return f"; it is {_OWN[name]}" if name in _OWN else ""


@rule("TRT102", "refused")
def begun(config: Config) -> Iterator[Found]:
    """The release takes the parameter of the accelerator tensorrt already.

    Most of them, the profiles too, came with 24.04; an older release refuses the load.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc`, by release.
    Remedy: choose a newer release, or take the parameter out.
    """
    return newer(_given(config), "tensorrt", config.release)


@rule("TRT103", "refused")
def readable(config: Config) -> Iterator[Found]:
    """The value of a parameter of the accelerator tensorrt is one that is read.

    The backend reads some, and hands all on as text, which ONNX Runtime reads whole.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (LoadModel);
    microsoft/onnxruntime, `tensorrt_execution_provider_info.cc`.
    Remedy: write a value as the sentence says.
    """
    taken = knobs.tensorrt_keys(config.release)
    whole = knobs.begun(_OPTIONS_AS_TEXT, config.release)
    for place, name, text in _given(config):
        if name in taken:
            yield from unreadable(place, text, taken[name], config.release, whole=whole)


@rule("TRT201", "wrong")
def heeded(config: Config) -> Iterator[Found]:
    """A parameter of the accelerator tensorrt has an effect in the release.

    TensorRT 11 takes the precision of the file, and has none of the flags for it.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`.
    Remedy: export the model in that precision, and take the parameter out.
    """
    release = config.release
    taken = knobs.tensorrt_keys(release)
    whole = knobs.begun(_OPTIONS_AS_TEXT, release)
    for place, name, text in _given(config):
        if name not in taken or not taken[name].idle(release) or text == "FP32":
            continue
        if not [*unreadable(place, text, taken[name], release, whole=whole)]:
            yield Found(
                said=f"{name} has no effect since {taken[name].ends}: TensorRT 11 takes the"
                f" precision of the file, so release {release.tag} needs that exported",
                at=place,
            )


@rule("TRT202", "wrong")
def switched_on(config: Config) -> Iterator[Found]:
    """A parameter of the accelerator tensorrt goes with the switch that has it read.

    The path of a cache, the number of a DLA core and the like are read where their switch is on.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`.
    Remedy: add the switch with 1, or take the parameter out.
    """
    for prefix, given in parameters(config, "tensorrt"):
        for name in sorted(given.keys() & _SWITCHES):
            if name == "trt_engine_cache_path" and given.get("precision_mode") == "INT8":
                continue  # tables of calibration lie there, too
            if not any(is_on(given.get(switch, "")) for switch in _SWITCHES[name]):
                said = f"it is not read without {_SWITCHES[name][0]}"
                yield Found(said=said, at=keyed(prefix, name))


@rule("TRT203", "wrong")
def calibrated(config: Config) -> Iterator[Found]:
    """Tables of calibration are for precision_mode INT8.

    Other modes calibrate nothing.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`.
    Remedy: write precision_mode INT8, or take them out.
    """
    for prefix, given in parameters(config, "tensorrt"):
        for name in sorted(given):
            if name.startswith("int8_") and given.get("precision_mode") != "INT8":
                yield Found(
                    said="it is not read without precision_mode INT8", at=keyed(prefix, name)
                )


@rule("TRT301", "advice")
def current(config: Config) -> Iterator[Found]:
    """No parameter of the accelerator tensorrt is deprecated.

    trt_build_heuristics_enable is, since TensorRT 8.6: the level of optimization says it.

    Source: microsoft/onnxruntime, `tensorrt_execution_provider.cc`.
    Remedy: write trt_builder_optimization_level 2 instead.
    """
    for place, name, _ in _given(config):
        if name == _HEURISTICS:
            yield Found(
                said="it is deprecated: write trt_builder_optimization_level 2 instead", at=place
            )
