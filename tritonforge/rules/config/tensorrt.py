"""Rules of the parameters of the accelerator tensorrt."""

from collections.abc import Iterator

from tritonforge import knobs
from tritonforge.rules.config.accelerators import parameters
from tritonforge.rules.config.values import late, unreadable
from tritonforge.rules.places import keyed, near, renamed
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

# The first release that hands TensorRT's options on as text, which ONNX Runtime reads strictly.
_OPTIONS_AS_TEXT = "24.02"


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
                    f" a parameter {name}{near(name, taken)}",
                    at=keyed(prefix, name),
                    changes=renamed(prefix, name, given[name], taken, given),
                )


@rule("TRT102", "refused")
def begun(config: Config) -> Iterator[Found]:
    """The release takes the parameter of the accelerator tensorrt already.

    Most of them, the profiles too, came with 24.04; an older release refuses the load.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc`, by release.
    Remedy: choose a newer release, or take the parameter out.
    """
    release, named = config.release, knobs.known("tensorrt")
    for place, name, _ in _given(config):
        if name in named and name not in knobs.tensorrt_keys(release):
            yield Found(said=late(name, f"since {named[name].since}", release), at=place)


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
