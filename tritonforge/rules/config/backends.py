"""Rules of which backend serves a model, with which file and library."""

import posixpath
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import PurePosixPath

from tritonforge.pbtxt.editing import schema
from tritonforge.release import RUNTIME
from tritonforge.rules.backends import ALIASES, ENSEMBLE, ONNX, PLATFORMS, SHIPPED
from tritonforge.rules.places import near
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.spelling import last_with, meant_by
from tritonforge.rules.subjects import Config

_LIBRARY = "libtriton_onnxruntime.so"
_TELLING = ("backend", "platform", "default_model_filename")
_AGENTS = ("checksum",)


@rule("GEN102", "refused", is_lasting=True)
def platform_of_its_backend(config: Config) -> Iterator[Found]:
    """The platform is that of the backend, or left out.

    The server checks that backend and platform are a pair, and fills in the platform where it is
    left out. The file's name tells a backend too.

    Source: triton-inference-server/core, `model_config_utils.cc` (ValidateModelConfig).
    Remedy: take the platform out.
    """
    platform, backend = config.message.platform, config.backend
    known = PLATFORMS.get(backend, ())
    if not known or platform in {"", *known} or _is_newer(platform, config):
        return
    plainly = ALIASES.get(platform) == backend or platform == backend
    plainly = plainly or bool(get_close_matches(platform, known, n=1, cutoff=0.8))
    yield Found(
        said=f"{platform!r} is not of {backend}: write {' or '.join(map(repr, known))}",
        at="platform",
        changes=(Change(path="platform", value=None),) if plainly else (),
    )


def _is_newer(platform: str, config: Config) -> bool:
    """Say whether a newer release may have it: those of PyTorch have become more."""
    others = [name for names in PLATFORMS.values() for name in names]
    return config.backend == "pytorch" and platform not in {*others, ENSEMBLE}


@rule("GEN106", "refused", is_lasting=True)
def told_backend(config: Config) -> Iterator[Found]:
    """A platform, or the name of a file, tells the backend where none is named.

    The server takes that of the platform or of default_model_filename, and where one of them is
    written looks no further.

    Source: triton-inference-server/core, `model_config_utils.cc` (AutoCompleteBackendFields).
    Remedy: write backend: "onnxruntime".
    """
    message = config.message
    if config.backend or message.platform == ENSEMBLE or message.HasField("ensemble_scheduling"):
        return
    if message.platform:
        yield Found(
            said=f"the platform {message.platform!r} tells no backend, and none is named",
            at="platform",
            changes=_backend_of(message.platform),
        )
    elif message.default_model_filename:
        is_onnx = message.default_model_filename.endswith(".onnx")
        yield Found(
            said=f"the file {message.default_model_filename!r} tells no backend, and none is named",
            at="default_model_filename",
            changes=(Change(path="backend", value=schema.quote(ONNX)),) if is_onnx else (),
        )


def _backend_of(platform: str) -> tuple[Change, ...]:
    """Write as backend what is one, and no platform."""
    backend = platform if platform in SHIPPED else ALIASES.get(platform)
    if backend is None:
        return ()
    return (
        Change(path="backend", value=schema.quote(backend)),
        Change(path="platform", value=None),
    )


@rule("GEN107", "refused", is_lasting=True)
def known_by_its_name(config: Config) -> Iterator[Found]:
    """A backend is called as its folder is.

    The server looks for libtriton_BACKEND.so in the folder of its name, in the very letters: there
    is none called onnx, and none called PyTorch.

    Source: triton-inference-server/core, `backend_model.cc` (ResolveBackendPaths).
    Remedy: write the backend's own name.
    """
    name = config.message.backend
    meant = ALIASES.get(name.lower(), name.lower())
    if name not in SHIPPED and meant in SHIPPED:
        yield Found(
            said=f"there is no backend {name!r}, it is called {meant!r}",
            at="backend",
            changes=(Change(path="backend", value=schema.quote(meant)),),
        )


@rule("GEN207", "wrong")
def spelt_backend(config: Config) -> Iterator[Found]:
    """A backend is spelt as one that NVIDIA's images bring, or quite unlike it.

    One that no image brings may be a person's own; one that is nearly the name of another mostly is
    not.

    Source: triton-inference-server/core, `backend_model.cc` (ResolveBackendPaths).
    Remedy: mend the name, or silence the rule where the server has that backend.
    """
    name = config.message.backend
    if not name or name in SHIPPED or name.lower() in {*SHIPPED, *ALIASES}:
        return
    meant = meant_by(name)
    if meant is not None:
        yield Found(
            said=f"no image brings a backend {name!r}; did you mean {meant!r}?", at="backend"
        )


@rule("GEN208", "wrong")
def backend_of_the_release(config: Config) -> Iterator[Found]:
    """A backend is one that the release's image still brings.

    That of TensorFlow was in the images up to 25.02. A server with a backend of one's own build, in
    --backend-directory, may have it still.

    Source: triton-inference-server/server, `build.py` of r25.02 and r25.03, which names it no more.
    Remedy: choose --target 25.02 or older, or export the model to ONNX, with tf2onnx for one.
    """
    tag, backend = config.release.tag, config.backend
    last = last_with(backend)
    if last is not None and tag > last and not tag.startswith(RUNTIME):
        at = next((field for field in _TELLING if getattr(config.message, field)), "")
        said = f"the image of {tag} brings no backend {backend!r}, that of {last} is the last"
        yield Found(said=said, at=at)


@rule("GEN108", "refused")
def library_of_onnx(config: Config) -> Iterator[Found]:
    """The runtime of a model of ONNX Runtime is its backend's library, or left out.

    The server looks for it beside the backend, or in the model's own folder, and lets no path lead
    out of there. Only a backend written in Python has model.py, and NVIDIA's images have it as a
    library.

    Source: triton-inference-server/core, `backend_model.cc` (ResolveBackendPaths).
    Remedy: take runtime out.
    """
    runtime = config.message.runtime
    if config.is_onnx and runtime and _inside(runtime) != _LIBRARY:
        yield Found(
            said=f"the ONNX Runtime backend has no library {runtime!r}, only {_LIBRARY}"
            f"{near(runtime, [_LIBRARY])}",
            at="runtime",
        )


def _inside(runtime: str) -> str:
    """Return a path within the backend's folder, to which the server joins it."""
    return posixpath.relpath(posixpath.normpath(f"{ONNX}/{runtime}"), ONNX)


@rule("GEN109", "refused", is_lasting=True)
def known_agents(config: Config) -> Iterator[Found]:
    """An agent of the model's repository is one that the server has.

    NVIDIA's images bring checksum. A server with agents of its own has them in
    --repoagent-directory.

    Source: triton-inference-server/core, `repo_agent.cc` (TritonRepoAgentManager).
    Remedy: take the agent out, or silence the rule where the server has it.
    """
    agents = config.message.model_repository_agents.agents
    for number, agent in enumerate(agents):
        if agent.name not in _AGENTS:
            yield Found(
                said=f"there is no agent {agent.name!r} in the images{near(agent.name, _AGENTS)}",
                at=f"model_repository_agents.agents[{number}].name",
            )


@rule("GEN205", "wrong", is_lasting=True)
def file_of_the_version(config: Config) -> Iterator[Found]:
    """The model's file lies in the folder of the version.

    The server joins the name to that folder. A file outside is shared by versions that should
    differ, and does not move with the model.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (LoadModel).
    Remedy: write the file's name alone, such as model.onnx.
    """
    name = config.message.default_model_filename
    if ".." in PurePosixPath(name).parts:
        yield Found(said=f"{name!r} leads out of the version's folder", at="default_model_filename")
