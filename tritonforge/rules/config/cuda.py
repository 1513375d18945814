"""Rules of the parameters of the accelerator cuda, which are options of ONNX Runtime's provider."""

from collections.abc import Iterator

from tritonforge import knobs
from tritonforge.release import Release
from tritonforge.rules.config.accelerators import parameters
from tritonforge.rules.config.values import unreadable, wanted
from tritonforge.rules.places import keyed, moved, near, renamed
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Config

# What the provider's options are as parameters of the model.
_AS_PARAMETERS = {
    "cudnn_conv_algo_search": {"EXHAUSTIVE": "0", "HEURISTIC": "1", "DEFAULT": "2"},
    "arena_extend_strategy": {"kNextPowerOfTwo": "0", "kSameAsRequested": "1"},
}
_AS_THEY_ARE = {"gpu_mem_limit", "do_copy_in_default_stream"}


def _given(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield the parameters that the backend does not set anew: place, name and text."""
    for prefix, given in parameters(config, "cuda"):
        for name in sorted(given):
            if name not in knobs.reset():
                yield keyed(prefix, name), name, given[name]


def _runtime(release: Release) -> str:
    """Name the ONNX Runtime of a release."""
    return f"ONNX Runtime {release.onnxruntime} of release {release.tag}"


@rule("CUD101", "refused")
def known(config: Config) -> Iterator[Found]:
    """A parameter of the accelerator cuda is an option of ONNX Runtime's CUDA provider.

    The backend hands all on, and ONNX Runtime refuses what it does not know.

    Source: microsoft/onnxruntime, `cuda_execution_provider_info.cc`.
    Remedy: mend the name, or take the parameter out.
    """
    named, taken = knobs.known("cuda"), knobs.cuda_options(config.release)
    for prefix, given in parameters(config, "cuda"):
        for name in sorted(given):
            if name not in named and name not in knobs.reset():
                yield Found(
                    said=f"{_runtime(config.release)} knows no CUDA option {name}"
                    f"{near(name, taken)}",
                    at=keyed(prefix, name),
                    changes=renamed(prefix, name, given[name], taken, given),
                )


@rule("CUD102", "refused")
def begun(config: Config) -> Iterator[Found]:
    """The release's ONNX Runtime has the CUDA option already.

    It refuses one that is newer as one that it does not know.

    Source: microsoft/onnxruntime, `cuda_execution_provider_info.cc`, by version.
    Remedy: choose a newer release, or take the parameter out.
    """
    named = knobs.known("cuda")
    for place, name, _ in _given(config):
        if name in named and name not in knobs.cuda_options(config.release):
            since = f"since ONNX Runtime {named[name].since}"
            yield Found(
                said=f"{name} is a CUDA option {since}, not yet of {_runtime(config.release)}",
                at=place,
            )


@rule("CUD103", "refused")
def readable(config: Config) -> Iterator[Found]:
    """The value of a CUDA option is one that ONNX Runtime reads.

    It reads the whole text, and switches as 0, 1, true or false.

    Source: microsoft/onnxruntime, `parse_string.h`, `cuda_execution_provider_info.cc`.
    Remedy: write a value as the sentence says.
    """
    taken = knobs.cuda_options(config.release)
    for place, name, text in _given(config):
        if name in taken and text:  # the backend hands on no empty value
            yield from unreadable(place, text, taken[name], config.release, whole=True)


@rule("CUD201", "wrong")
def kept(config: Config) -> Iterator[Found]:
    """A CUDA option that the backend sets itself stands where it reads it.

    Behind the accelerator it sets these anew, from the model's parameters or their defaults.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (LoadModel).
    Remedy: write it where the sentence says.
    """
    release, reset = config.release, knobs.reset()
    for prefix, given in parameters(config, "cuda"):
        for name in sorted(given):
            if name in reset:
                place = keyed(prefix, name)
                yield Found(
                    said=f"the backend of release {release.tag} sets {name} anew behind the"
                    f" accelerator; write it as {reset[name]} instead",
                    at=place,
                    changes=_moved(config, place, name, given[name]),
                )


def _moved(config: Config, place: str, name: str, text: str) -> tuple[Change, ...]:
    """Write an option as the parameter of the model that it is, unless there is one."""
    values = _AS_PARAMETERS.get(name, {text: text} if name in _AS_THEY_ARE else {})
    key = knobs.parameters(config.release).get(name)
    if key is not None and name in _AS_THEY_ARE and wanted(text, key, whole=True) is not None:
        return ()  # there it is read in part, or not at all
    if name in config.message.parameters or text not in values:
        return ()
    return moved(place, keyed("parameters", name), values[text])
