"""The config that a version is served under, which versions it has served, and what it forbids."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from tritonforge import client, pbtxt
from tritonforge.endpoint import Endpoint
from tritonforge.errors import ConfigError
from tritonforge.repository import Entry, Repository


def entries(
    repository: Repository, models: tuple[str, ...], version: int | None
) -> tuple[Entry, ...]:
    """Find what is to be compared: `version` of each model, else all that its policy has served."""
    found = repository.select(models, version)
    if version is not None:
        return found
    return tuple(each for entry in found for each in _served(repository, entry))


def _served(repository: Repository, newest: Entry) -> tuple[Entry, ...]:
    """Return the served versions of a model; of one whose config cannot be read, the newest."""
    config = None
    with suppress(ConfigError):  # said when it is its turn
        config = _read(newest)
    if config is None:
        return (newest,)
    versions = pbtxt.served(config, repository.versions(newest.model))
    return tuple(replace(newest, version=each) for each in versions) or (newest,)


def stated(entry: Entry) -> Any:
    """Return the config as it stands, None where the server completes it.

    Raises `ConfigError` where it does not parse, or asks for what cannot be compared.
    """
    config = _read(entry)
    if config is None:
        return None
    _check(entry, config)
    return config if pbtxt.is_complete(config) else None


def completed(entry: Entry, endpoint: Endpoint) -> Any:
    """Ask the server for the config that it has completed."""
    said = client.config(endpoint, entry.model, version=entry.version)
    config = pbtxt.from_json(said)
    _check(entry, config)
    return config


def _read(entry: Entry) -> Any:
    """Read the config of a model, None where there is none."""
    path = entry.config_path
    return pbtxt.parse(path.read_text("utf-8"), path) if path.is_file() else None


def _check(entry: Entry, config: Any) -> None:
    """Raise `ConfigError` for a model that has no one file, or whose batches have no one shape."""
    if config.HasField("ensemble_scheduling"):
        steps = dict.fromkeys(step.model_name for step in config.ensemble_scheduling.step)
        raise ConfigError(
            f"parity cannot compare {entry.model!r}: an ensemble has no file of its own",
            hint=f"compare its steps: {' '.join(steps)}",
        )
    ragged = [each.name for each in config.input if each.allow_ragged_batch]
    if ragged or config.batch_input or config.batch_output:
        what = f"the ragged input {ragged[0]!r}" if ragged else "batch_input or batch_output"
        raise ConfigError(
            f"parity cannot compare {entry.model!r}: by {what} in its config the server gives the"
            " file other tensors than clients send"
        )
