"""Which config stands in the end: ours, or the one that a team has put there already.

Between adapters and use cases: a new model's config is held against the standing one, which is
never replaced unasked and never kept where a server could not load the new version under it.
"""

import contextlib
import difflib
from functools import partial
from typing import Any, Literal

from tritonforge import manifest, pbtxt
from tritonforge.errors import ConfigError, RepositoryError
from tritonforge.manifest import Manifest
from tritonforge.repository import CONFIG, MODEL, Entry, Repository
from tritonforge.repository.configs import ConfigFile
from tritonforge.tensors import Signature

# `follow` replaces what the last build wrote, and stops at what a person has edited.
Standing = Literal["stop", "update", "keep", "follow"]


def kept_batch(
    repository: Repository, name: str, version: int | None, file: str = MODEL
) -> int | None:
    """Return the largest batch of the config that is to be kept, None where none stands.

    `file` is what the build will call the model's. Raises `ConfigError` where it cannot serve
    `version` (None: the next), before any work is done.
    """
    stands = repository.config(name)
    if stands is None:
        return None
    there = _parse(stands, name)
    number = repository.next_version(name) if version is None else version
    _refuse(_unservable(there, name, number, file))
    return int(there.max_batch_size)


def decide(
    stands: str | None,
    ours: Any,
    text: str,
    signature: Signature,
    *,
    standing: Standing,
    version: int,
    written: str | None = None,
) -> str:
    """Return the text that is to stand; raises `ConfigError` where that is not ours to say.

    `text` is how ours is written, `written` what the last build wrote, None where there was none.
    """
    if stands is None or standing == "update" or (standing == "follow" and stands == written):
        return text
    there = _parse(stands, ours.name)
    if there == ours:
        return stands
    if standing != "keep":
        diff = difflib.unified_diff(
            stands.splitlines(), text.splitlines(), "standing", "new", lineterm=""
        )
        raise ConfigError(
            f"{ours.name!r} has another config already:\n" + "\n".join(diff),
            hint="replace it with --update-config, or build for it with --keep-config",
        )
    file = ours.default_model_filename or MODEL
    _refuse(_unservable(there, ours.name, version, file) or pbtxt.mismatch(there, signature))
    if there.max_batch_size > ours.max_batch_size:
        _refuse(f"max_batch_size is {there.max_batch_size}, proven is {ours.max_batch_size}")
    return stands


def restore(
    repository: Repository, entry: Entry, known: Manifest, *, standing: Standing, dry_run: bool
) -> tuple[str, ...]:
    """Settle which config stands over a version that is not built again; return notes.

    Raises `ConfigError` where a person has edited it and nothing says what to do.
    """
    decided = partial(
        decide,
        ours=_parse(known.config, entry.model),
        text=known.config,
        signature=known.signature,
        standing=standing,
        version=entry.version,
        written=known.config,
    )
    stands = repository.config(entry.model)
    if stands == known.config or decided(stands) == stands:  # one may not be able to write there
        return ()
    if dry_run:
        return ("the config would be written again as that build made it",)
    with repository.locked():
        text = decided(repository.config(entry.model))
        ConfigFile(path=entry.config_path, model=entry.model, repository=repository).write(text)
    return ("the config is written again as that build made it",)


def written(repository: Repository, name: str) -> str | None:
    """Return the config that the newest version was built with, None where that is not known."""
    with contextlib.suppress(RepositoryError):  # no version, or a manifest that is damaged
        known = manifest.read(repository.entry(name).version_dir)
        return None if known is None else known.config
    return None


def _parse(stands: str, name: str) -> Any:
    return pbtxt.parse_known(stands, f"{name}/{CONFIG}")


def _refuse(reason: str | None) -> None:
    """Raise where there is a reason not to keep the standing config."""
    if reason is not None:
        raise ConfigError(
            f"the standing config does not fit the new model: {reason}",
            hint="replace it with --update-config, or mend it by hand",
        )


def _unservable(there: Any, name: str, version: int, file: str) -> str | None:
    """Say why a server would not load our `file` as this version; None where it would.

    Source: core `model_config_utils.cc` ValidateModelConfig, `model_lifecycle.cc`; what is not said
    Triton fills in from the folder and the file.
    """
    if there.name not in {"", name}:
        return f"its name is {there.name!r}, the folder's is {name!r}"
    for field, known in (("backend", "onnxruntime"), ("platform", "onnxruntime_onnx")):
        said = getattr(there, field)
        if said not in {"", known}:
            return f"its {field} is {said!r}, not {known!r}"
    files = {there.default_model_filename or MODEL, *there.cc_model_filenames.values()} - {file}
    if files:
        return f"it loads {min(files)!r}, and a build writes {file!r}"
    policy = there.version_policy
    if policy.HasField("specific") and version not in policy.specific.versions:
        served = ", ".join(map(str, policy.specific.versions)) or "none"
        return f"its version policy serves {served}, not version {version}"
    return None
