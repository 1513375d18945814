"""Serve a model repository with the embedded server: adapters composed, for the use cases.

This is a layer of its own between the adapters (server, repository, pbtxt), which do not know each
other, and the use cases, which all serve in this one way: the toolchain is found, the server is
shown only the models that are wanted, and where no GPU is to be seen a config that asks for one is
rehearsed on the CPU.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from tritonforge import manifest, mirror, release, served, server, toolchain
from tritonforge.check.explaining import explain
from tritonforge.endpoint import Endpoint
from tritonforge.errors import ConfigError, RepositoryError, ServerError, SpecError
from tritonforge.progress import Progress, silent
from tritonforge.release import Release
from tritonforge.repository import CONFIG, Entry, Repository

# Without it a server keeps no responses, whatever a config says; since 23.03, with a size in bytes.
_CACHE = "--cache-config=local,size=67108864"
_CACHES = re.compile("--(cache-config|response-cache-byte-size)")
# how the server names an ensemble that keeps it from loading any model: `ensemble_utils.cc`
_ENSEMBLE = re.compile(r"\bensemble '?([^\s',:]+)")
Told = Callable[[str], None]
_NAMED = 5  # models in a sentence
_LINES = 10  # of what rules know, where the server names no model
_LIMITS = ("opset", "ir", "ml_opset", "cuda_opset")  # of a release, by its ONNX Runtime
# what ONNX Runtime says of a file of a newer IR or opset: its `model.cc` and `model_load_utils.h`
_NEWER = re.compile(r"Unsupported model IR version|Opset \d+ is under development")


def _unheard(said: str) -> None:
    """Take what nobody wants to know."""
    del said


@contextmanager
def serving(
    repository: Path,
    *,
    models: Sequence[str] | None = None,
    version: int | None = None,
    target: Release | None = None,
    http_port: int | None = None,
    grpc_port: int | None = None,
    metrics_port: int | None = None,
    arguments: Sequence[str] = (),
    cached: bool = False,
    show: Callable[[str], None] | None = None,
    rehearsed: Told = _unheard,
    noted: Told = _unheard,
    progress: Progress = silent,
    timeout: float = 600.0,
) -> Iterator[Endpoint]:
    """Serve `models` of a repository, by default all that have a version, while the block runs.

    `version` is served alone, also where the config's version policy would leave it out.
    `target` is the release whose ONNX Runtime serves, by default the one that all of the models
    were built for, else the embedded one.
    Where a config asks for a GPU that the server does not see, the model is served on the CPU:
    `rehearsed` gets the unified diff of each such config, and the endpoint says `rehearsal`.
    With `cached` there is a response cache where a config asks for one: no good for a measurement.
    `noted` gets a sentence for each model that was built for another ONNX Runtime than serves it,
    and where the server is slow to be ready what rules say that it refuses.
    Raises `RepositoryError` for a model that is not there, `ConfigError` for a config that does
    not parse, `ToolchainError`, `ServerError`.
    """
    entries = Repository(repository).select(tuple(models or ()), version)
    tools = _tools(entries, target, noted, progress)
    own = isinstance(tools, toolchain.Toolchain)
    configs = _configs(entries, tools, alone=version is not None)
    if own:
        mirror.check_names(configs)
    rehearsals = [config for config in configs if config.rehearsal]
    for config in rehearsals:
        rehearsed(config.difference)
    with ExitStack() as stack:
        shown = stack.enter_context(mirror.mirrored(configs, alone=version is not None))
        starting = server.serving(
            shown,
            tools,
            http_port=http_port,
            grpc_port=grpc_port,
            metrics_port=metrics_port,
            arguments=(*_cache(configs, arguments, noted), *arguments) if cached else arguments,
            show=show,
            late=None if noted is _unheard else partial(_late, configs, tools, noted),
            progress=progress,
            timeout=timeout,
        )
        try:
            endpoint = stack.enter_context(starting)
        except server.UnloadedError as error:
            told = _explained(error, entries, configs, tools)
            message = told.message.replace(str(shown), str(repository.absolute()))
            raise ServerError(message, hint=told.hint) from error
        yield replace(endpoint, rehearsal=bool(rehearsals))


def _configs(
    entries: Sequence[Entry],
    tools: toolchain.Toolchain | toolchain.Installation,
    *,
    alone: bool,
) -> tuple[mirror.Config, ...]:
    """Read the configs of models; the error of those that cannot be names the rules."""
    repository = Repository(entries[0].model_dir.parent)
    try:
        return mirror.configs(repository, entries, rehearse=not tools.sees_gpu, alone=alone)
    except mirror.UnreadError as error:
        raise _unread(error, repository, entries, tools) from error


def _unread(
    error: mirror.UnreadError,
    repository: Repository,
    entries: Sequence[Entry],
    tools: toolchain.Toolchain | toolchain.Installation,
) -> ConfigError:
    """Say why configs cannot be read, by rules where they know, and how the others are served."""
    named = list(error.errors)[:_NAMED]
    more = " …" if len(error.errors) > _NAMED else ""
    several = f"{len(error.errors)} configs cannot be read: those"
    what = several if len(error.errors) > 1 else "a config cannot be read: that"
    lines = [f"{what} of {', '.join(map(repr, named))}{more}"]
    told = explain(repository, named, _release(tools))
    for model in named:
        own = [each for each in told if f" {model}/{CONFIG}:" in each]
        lines += own or [error.errors[model].message]
    where = shlex.quote(str(repository.path))
    hint = f"mend what is told; tritonforge check -r {where} tells of everything at once"
    others = [entry.model for entry in entries if entry.model not in error.errors]
    if others and len(others) < len(entries):
        hint += f", and tritonforge serve -r {where} {_names(others)} leaves it out"
    return ConfigError("\n".join(lines), hint=hint)


def _names(models: Sequence[str]) -> str:
    """Name models as arguments, of many what stands for them."""
    return shlex.join(models) if len(models) <= _NAMED else "MODEL…"


def _cache(
    configs: Sequence[mirror.Config], arguments: Sequence[str], noted: Told
) -> tuple[str, ...]:
    """Return the server's option for a response cache where a config asks for one in vain."""
    asking = [
        each.entry.model
        for each in configs
        if each.shown is not None and each.shown.response_cache.enable
    ]
    if not asking or any(_CACHES.match(each) for each in arguments):
        return ()
    noted(f"the response cache that {', '.join(asking)} asks for: {_CACHE}, as a container wants")
    return (_CACHE,)


def _tools(
    entries: Sequence[Entry], target: Release | None, noted: Told, progress: Progress
) -> toolchain.Toolchain | toolchain.Installation:
    """Return the server for a target, None for the one that all of the models were built for."""
    targets = _targets(entries)
    common = next(iter(targets.values())) if len(set(targets.values())) == 1 else None
    tools = toolchain.find(target or common, progress=progress)
    for model, built in targets.items():
        if built.onnxruntime != tools.onnxruntime:
            noted(
                f"{model!r} was built for {built.tag}, whose ONNX Runtime is {built.onnxruntime}:"
                f" --target {built.tag}"
            )
    return tools


def _targets(entries: Sequence[Entry]) -> dict[str, Release]:
    """Return the release that each model was built for; what was not built here has none."""
    found = {}
    for entry in entries:
        with suppress(RepositoryError, SpecError):  # it is damaged, or of a newer tritonforge
            known = manifest.read(entry.version_dir)
            if known is not None:
                found[entry.model] = release.find(known.target)
    return found


def _late(
    configs: Sequence[mirror.Config],
    tools: toolchain.Toolchain | toolchain.Installation,
    noted: Told,
) -> None:
    """Tell what rules know of a server that is slow: it waits minutes for some faults."""
    if told := _known(configs, tools):
        noted("\n".join(("not ready yet, and this is refused:", *told)))


def _known(
    configs: Sequence[mirror.Config], tools: toolchain.Toolchain | toolchain.Installation
) -> tuple[str, ...]:
    """Say what rules know of all that is served, of many models what concerns the first."""
    repository = Repository(configs[0].entry.model_dir.parent)
    told = explain(repository, [each.entry.model for each in configs], _release(tools))
    if len(told) <= _LINES:
        return told
    return (*told[:_LINES], f"{len(told) - _LINES} lines more, which tritonforge check tells")


def _explained(
    error: server.UnloadedError,
    entries: Sequence[Entry],
    configs: Sequence[mirror.Config],
    tools: toolchain.Toolchain | toolchain.Installation,
) -> ServerError:
    """Say what models that do not load were built for, and how the others are served."""
    said = error.message
    models = error.models or _ensembles(said, entries)
    for model, built in _targets(entries).items():
        if model in models and built.tag != tools.release:
            said += (
                f" ({model!r} was built for {built.tag}, the server is {server.versions(tools)})"
            )
    others = [entry.model for entry in entries if entry.model not in models]
    hint = error.hint
    if newer := _NEWER.search(said):
        hint = f"{_conversion(said[: newer.start()], entries)}; {hint}"
    if others and len(others) < len(entries):
        where = shlex.quote(str(entries[0].model_dir.parent))
        serve = f"tritonforge serve -r {where} {_names(others)}"
        hint = f"name the others to leave it out: {serve}; {hint}"
    repository = Repository(entries[0].model_dir.parent)
    told = explain(repository, models, _release(tools)) if models else _known(configs, tools)
    return ServerError("\n".join((said, *told)), hint=hint)


def _ensembles(said: str, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Name the ensembles that an error of the whole repository is about."""
    named = set(_ENSEMBLE.findall(said))
    return tuple(entry.model for entry in entries if entry.model in named)


def _release(tools: toolchain.Toolchain | toolchain.Installation) -> Release | None:
    """Return what serves as a release: its Triton, with the ONNX Runtime beside it."""
    with suppress(SpecError):  # an installation's of which no table tells
        if tools.release is not None and tools.onnxruntime is not None:
            known = release.find(tools.release)
            runtime = release.find(f"{release.RUNTIME}{tools.onnxruntime}")
            limits = {name: getattr(runtime, name) for name in _LIMITS}
            return replace(known, onnxruntime=tools.onnxruntime, **limits)
    return None


def _conversion(said: str, entries: Sequence[Entry]) -> str:
    """Say how the last model that is named in what was said can be made older."""
    entry = max(entries, key=lambda each: said.rfind(repr(each.model)))
    path = shlex.quote(str(served.model_path(entry)))
    return (
        f"`tritonforge build {path} --name {shlex.quote(entry.model)} -r DIR` converts the file for"
        " the release of --target"
    )
