"""What stands beside a config: the files that it names, labels and warm-up data.

Between adapters and use cases: a build brings them with its config, and takes away what an earlier
one brought and nothing names any more. What a person has put there is never touched.
"""

import contextlib
from pathlib import Path
from typing import Any

from tritonforge import manifest, pbtxt
from tritonforge.errors import RepositoryError
from tritonforge.repository import CONFIG, Repository, Stage
from tritonforge.stamp import Stamp


def bring(
    repository: Repository, name: str, stage: Stage, text: str, *, keep: bool
) -> tuple[dict[str, Stamp], tuple[str, ...]]:
    """Settle which files stand beside the config `text`; return those that a build brought, notes.

    With `keep` what stands is kept as the config is: a stage then brings what it names and lacks.
    """
    folder = repository.model_dir(name)
    named, kept = _named(pbtxt.parse_known(text, f"{name}/{CONFIG}")), []
    for path in stage.files if keep else ():
        there = path.relative_to(stage.path)
        if there in named and not (folder / there).is_file():
            continue
        if there in named and path.read_bytes() != (folder / there).read_bytes():
            kept.append(str(there))
        path.unlink()
    for each in stage.extras:
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()
    earlier = _brought(repository, name) if keep else {}
    brought = {str(path): stamp for path, stamp in earlier.items() if path in named}
    brought |= {str(path.relative_to(stage.path)): Stamp.of(path) for path in stage.files}
    note = f"kept beside the config as they stand: {', '.join(kept)}"
    return brought, (note,) if kept else ()


def obsolete(repository: Repository, name: str, stage: Stage, text: str) -> tuple[Path, ...]:
    """Name the files that an earlier build brought and that the config `text` has no use for.

    One that a person has changed since is theirs.
    """
    wanted = _named(pbtxt.parse_known(text, f"{name}/{CONFIG}")) | {
        each.relative_to(stage.path) for each in stage.files
    }
    return tuple(sorted(_brought(repository, name).keys() - wanted))


def _brought(repository: Repository, name: str) -> dict[Path, Stamp]:
    """Return what stands beside the config of a model as an earlier build brought it."""
    found: dict[Path, Stamp] = {}
    folder = repository.model_dir(name)
    for number in repository.versions(name):
        with contextlib.suppress(RepositoryError):  # a manifest that is damaged
            known = manifest.read(repository.entry(name, number).version_dir)
            found |= {
                Path(path): stamp
                for path, stamp in ({} if known is None else known.beside).items()
                if stamp.fits(folder / path) and not (folder / path).parent.is_symlink()
            }
    return found


def _named(message: Any) -> frozenset[Path]:
    """Return the files that a config names, by their path in the model's folder.

    Source: core `constants.h` (kWarmupDataFolder, kInitialStateFolder).
    """
    labels = (each.label_filename for each in message.output)
    warm = (
        each.input_data_file for sample in message.model_warmup for each in sample.inputs.values()
    )
    first = (
        each.data_file for state in message.sequence_batching.state for each in state.initial_state
    )
    return frozenset(
        Path(folder, file)
        for folder, files in (("", labels), ("warmup", warm), ("initial_state", first))
        for file in files
        if file
    )
