"""Rules of the model's parameters, which the ONNX Runtime backend reads.

Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc`, by release.
"""

from collections.abc import Iterator

from tritonforge import knobs, pbtxt
from tritonforge.knobs import Key
from tritonforge.release import Release
from tritonforge.rules.config.values import is_off, misread, newer, unreadable, wanted
from tritonforge.rules.places import keyed, near, renamed
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

_ARENA, _SHRUNK = "enable_mem_arena", "memory.enable_memory_arena_shrinkage"
_STRATEGY = "TRITON_BATCH_STRATEGY_PATH"
_OPTIONS_OF_CUDA = {"gpu_mem_limit", "do_copy_in_default_stream"}
_FOR_CLIENTS = {"metadata"}  # which Ultralytics' client asks the server for
# How ONNX Runtime itself calls what the backend has another name for.
_OWN = {f"{kind}_op_num_threads": f"{kind}_op_thread_count" for kind in ("intra", "inter")}
_ELSEWHERE = {"graph_optimization_level": "optimization.graph.level"}


def _given(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield the parameters of a model of ONNX Runtime: place, name and text."""
    if config.is_onnx:
        given = config.message.parameters
        for name in sorted(given):
            yield keyed("parameters", name), name, given[name].string_value


def _texts(config: Config) -> dict[str, str]:
    """Return the parameters of a model of ONNX Runtime by name."""
    return {name: text for _, name, text in _given(config)}


def _is_unset(key: Key) -> bool:
    """Say whether the backend takes a value that it does not know for unset."""
    return key.kind == "text" and bool(key.values)


def _read(config: Config) -> Iterator[tuple[str, str, Key]]:
    """Yield the parameters of which the backend reads the value: place, text and key."""
    taken = knobs.parameters(config.release)
    unread = () if pbtxt.may_use_gpu(config.message) else knobs.reset()
    for place, name, text in _given(config):
        if name in taken and name not in unread and not _is_unset(taken[name]):
            yield place, text, taken[name]


def _is_handed_on(key: Key, release: Release) -> bool:
    """Say whether the backend hands a text on as it is to ONNX Runtime, which reads it whole.

    It does so since it has the accelerator cuda; before, it read these itself.
    """
    return key.name in _OPTIONS_OF_CUDA and knobs.since_in("gpu_accelerators", "cuda", release)


@rule("PRM101", "refused")
def readable(config: Config) -> Iterator[Found]:
    """The value of a parameter is one that the backend reads, or ONNX Runtime behind it.

    One that it cannot fails the load. Those of CUDA it reads for instances on a
    GPU alone; since 24.06 it hands gpu_mem_limit and do_copy_in_default_stream on as they are, and
    ONNX Runtime reads them whole.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ModelState, LoadModel);
    microsoft/onnxruntime, `cuda_execution_provider_info.cc` (FromProviderOptions).
    Remedy: write a value as the sentence says.
    """
    for place, text, key in _read(config):
        if key.kind != "arenas":  # which PRM205 tells
            whole = _is_handed_on(key, config.release)
            yield from unreadable(place, text, key, config.release, whole=whole)


@rule("PRM201", "wrong")
def known(config: Config) -> Iterator[Found]:
    """A parameter is one that the ONNX Runtime backend reads.

    It passes over any other in silence. A library for batching, TRITON_BATCH_STRATEGY_PATH, may
    read more. What clients alone read may be silenced; metadata, which Ultralytics writes for its
    own, is not told.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ModelState);
    ultralytics, `utils/triton.py`.
    Remedy: mend the name, or take the parameter out.
    """
    release, given = config.release, _texts(config)
    taken = knobs.parameters(release)
    if _STRATEGY in given:
        return
    for place, name, text in _given(config):
        if not name:
            yield Found(said="an entry without a key is read by nobody", at=place)
        elif name not in {*knobs.known("parameters"), *_FOR_CLIENTS}:
            yield Found(
                said=f"the ONNX Runtime backend of release {release.tag} reads no parameter"
                f" {name}{_home(name) or near(_OWN.get(name, name), taken)}",
                at=place,
                changes=renamed("parameters", name, text, taken, given, like=_OWN.get(name)),
            )


def _home(name: str) -> str:
    """Say where else in a config something is set, in words that end a sentence."""
    if name in _ELSEWHERE:
        return f"; it is {_ELSEWHERE[name]}"
    return "; it is one of the accelerator tensorrt" if name in knobs.known("tensorrt") else ""


@rule("PRM202", "wrong")
def begun(config: Config) -> Iterator[Found]:
    """The release's ONNX Runtime backend reads the parameter already.

    One that is newer it passes over in silence.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc`, by release.
    Remedy: choose a newer release, or take the parameter out.
    """
    return newer(_given(config), "parameters", config.release)


@rule("PRM203", "wrong")
def heeded(config: Config) -> Iterator[Found]:
    """The value of a parameter is one that has an effect.

    One that the backend does not know it takes for unset.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (ModelState).
    Remedy: write one of the values that the sentence names.
    """
    taken = knobs.parameters(config.release)
    for place, name, text in _given(config):
        if name in taken and _is_unset(taken[name]) and text not in taken[name].values:
            either = " or ".join(taken[name].values)
            yield Found(said=f"{text!r} is taken for unset; it should be {either}", at=place)


@rule("PRM204", "wrong")
def read_whole(config: Config) -> Iterator[Found]:
    """The value of a parameter is read whole.

    Of a number the backend reads the digits and passes over what is behind them in silence: an
    intra_op_thread_count of 4.5 is one of 4 threads.

    Source: triton-inference-server/backend, `backend_common.cc` (ParseIntValue,
    ParseUnsignedLongLongValue).
    Remedy: write the number alone, of memory in bytes.
    """
    for place, text, key in _read(config):
        number, whole = misread(text, key), _is_handed_on(key, config.release)
        if number is not None and wanted(text, key, whole=whole) is None:
            yield Found(said=f"{text!r} is read as {number}, without what is behind it", at=place)


@rule("PRM205", "wrong")
def arenas_that_are_read(config: Config) -> Iterator[Found]:
    """The arenas that are to give memory back are named as ONNX Runtime reads them.

    The backend hands the text on with each request, so that the model loads and every one fails.

    Source: microsoft/onnxruntime, `inference_session.cc` (ValidateAndParseShrinkArenaString).
    Remedy: write cpu:0, gpu:0 or both with a semicolon between.
    """
    for place, text, key in _read(config):
        if key.kind == "arenas":
            yield from unreadable(place, text, key, config.release, whole=False)


@rule("PRM206", "wrong")
def arena_of_the_cpu(config: Config) -> Iterator[Found]:
    """Memory that an arena is to give back needs the arena of the CPU.

    Every request fails with ONNX Runtime's error where there is none.

    Source: microsoft/onnxruntime, `inference_session.cc` (ValidateAndParseShrinkArenaString).
    Remedy: take memory.enable_memory_arena_shrinkage or enable_mem_arena out.
    """
    given = _texts(config)
    if "cpu" in given.get(_SHRUNK, "") and is_off(given.get(_ARENA, "")):
        yield Found(
            said=f"with {_ARENA} off the CPU has no arena to shrink",
            at=keyed("parameters", _SHRUNK),
        )


@rule("PRM207", "wrong")
def arena_of_a_gpu(config: Config) -> Iterator[Found]:
    """Memory that a GPU's arena is to give back needs instances on a GPU.

    Every request fails with ONNX Runtime's error where there are none.

    Source: microsoft/onnxruntime, `inference_session.cc` (ValidateAndParseShrinkArenaString).
    Remedy: write cpu:0 alone.
    """
    if "gpu" in _texts(config).get(_SHRUNK, "") and not pbtxt.may_use_gpu(config.message):
        yield Found(
            said="without an instance on a GPU it has no arena to shrink",
            at=keyed("parameters", _SHRUNK),
        )
