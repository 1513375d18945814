"""Serve a model repository with the embedded server: adapters composed, for the use cases.

This is a layer of its own between the adapters (server, repository, pbtxt), which do not know each
other, and the use cases, which all serve in this one way: the toolchain is found, only the models
that are wanted are loaded, and where no GPU is to be seen a config that asks for one is rehearsed
on the CPU.
"""

import difflib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tritonforge import leftovers, manifest, pbtxt, release, server, toolchain
from tritonforge.endpoint import Endpoint
from tritonforge.errors import RepositoryError, ServerError
from tritonforge.progress import Progress, silent
from tritonforge.release import Release
from tritonforge.repository import CONFIG, Entry, Repository

Told = Callable[[str], None]


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
    show: Callable[[str], None] | None = None,
    rehearsed: Told = _unheard,
    noted: Told = _unheard,
    progress: Progress = silent,
    timeout: float = 600.0,
) -> Iterator[Endpoint]:
    """Serve `models` of a repository, by default all that have a version, while the block runs.

    `version` may be one that the config's version policy would not serve: a copy holds it alone.
    `target` is the release whose ONNX Runtime serves, by default the one that all of the models
    were built for, else the embedded one.
    Where a config asks for a GPU that the server does not see, a copy is served on the CPU:
    `rehearsed` gets the unified diff of each such config, and the endpoint says `rehearsal`.
    `noted` gets a sentence for each model that was built for another ONNX Runtime than serves it.
    Raises `RepositoryError` for a model that is not there, `ConfigError` for a config that does
    not parse, `ToolchainError`, `ServerError`.
    """
    source = Repository(repository)
    entries = source.select(tuple(models or ()), version)
    names = tuple(entry.model for entry in entries)
    older = version is not None and any(source.entry(name).version != version for name in names)
    changed = _rehearsals(source, names)
    tools = _tools(entries, target, noted, progress)
    if tools.sees_gpu:
        changed = {}
    with ExitStack() as stack:
        for model, text in changed.items():
            rehearsed(_difference(source, model, text))
        served = repository
        if changed or older:
            served = stack.enter_context(_copied(source, names, changed, version))
        explicit = ["--model-control-mode=explicit", *(f"--load-model={name}" for name in names)]
        some = bool(models) or bool(source.unbuilt())  # which Triton would count as a failure
        starting = server.serving(
            served,
            tools,
            http_port=http_port,
            grpc_port=grpc_port,
            metrics_port=metrics_port,
            arguments=[*(explicit if some else ()), *arguments],
            show=show,
            progress=progress,
            timeout=timeout,
        )
        try:
            endpoint = stack.enter_context(starting)
        except server.UnloadedError as error:
            raise _explained(error, entries, tools) from error
        yield replace(endpoint, rehearsal=bool(changed))


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
        with suppress(RepositoryError):  # a manifest that is damaged
            known = manifest.read(entry.version_dir)
            if known is not None:
                found[entry.model] = release.find(known.target)
    return found


def _explained(
    error: server.UnloadedError,
    entries: Sequence[Entry],
    tools: toolchain.Toolchain | toolchain.Installation,
) -> ServerError:
    """Say what models that do not load were built for, and how the others are served."""
    said = error.message
    for model, built in _targets(entries).items():
        if model in error.models and built.tag != tools.release:
            said += (
                f" ({model!r} was built for {built.tag}, the server is {server.versions(tools)})"
            )
    others = [entry.model for entry in entries if entry.model not in error.models]
    hint = error.hint
    if others and len(others) < len(entries):
        named = " ".join(others) if len(others) <= 5 else "MODEL…"
        hint = f"name the others to leave it out: tritonforge serve {named}; {hint}"
    return ServerError(said, hint=hint)


def _rehearsals(repository: Repository, models: Sequence[str]) -> dict[str, str]:
    """Return the changed text of each config that asks for a GPU."""
    changed = {}
    for model in models:
        text = repository.config(model)
        if text is None:
            continue
        message = pbtxt.parse(text, repository.model_dir(model) / CONFIG)
        if pbtxt.needs_gpu(message):
            changed[model] = pbtxt.render(pbtxt.rehearse(message))
    return changed


def _difference(repository: Repository, model: str, changed: str) -> str:
    """Return what a rehearsal changes; layout and comments of the file are left out of it."""
    path = repository.model_dir(model) / CONFIG
    original = pbtxt.render(pbtxt.parse(repository.config(model) or "", path))
    lines = difflib.unified_diff(
        original.splitlines(), changed.splitlines(), str(path), "rehearsal on CPU", lineterm=""
    )
    return "\n".join(lines)


@contextmanager
def _copied(
    repository: Repository,
    models: Sequence[str],
    changed: Mapping[str, str],
    version: int | None,
) -> Iterator[Path]:
    """Lay out a repository of links, with the changed configs, while the block runs.

    With a `version` no other one is linked.
    """
    copy = Path(tempfile.mkdtemp(prefix=leftovers.mark()))
    try:
        for model in models:
            (copy / model).mkdir()
            others = {str(each) for each in repository.versions(model)} - {str(version)}
            for original in repository.model_dir(model).absolute().iterdir():
                if version is not None and original.name in others:
                    continue
                if original.name != CONFIG or model not in changed:
                    (copy / model / original.name).symlink_to(original)
            if model in changed:
                (copy / model / CONFIG).write_text(changed[model], encoding="utf-8")
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)
