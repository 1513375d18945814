"""Rules of what tritonforge wrote of a version that it built, and of what stands beside that."""

from collections.abc import Iterator
from typing import Any

from tritonforge import pbtxt
from tritonforge.errors import ConfigError
from tritonforge.manifest import MANIFEST
from tritonforge.repository import CONFIG, reading
from tritonforge.rules.folder.overlooked import a_config_is_called_config
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model

# Fields that change what is computed, not how much of it at once.
_COMPUTED = (
    *("batch_input", "batch_output", "input", "model_operations", "optimization", "output"),
    *("parameters", "sequence_batching"),
)


@rule("PRF201", "wrong", is_echo=True)
def files_are_those_that_were_proven(model: Model) -> Iterator[Found]:
    """The files of a version are those that its manifest stamps.

    Others were never compared with what they were made from. A file of the same length and date is
    taken for the same, and of one above 4 GiB that has another date the length has to do; all else
    is hashed.

    Source: `tritonforge/manifest.py`, `tritonforge/stamp.py`.
    Remedy: restore the file, or build the version again.
    """
    for number, names in model.altered.items():
        for name in names:
            path = f"{reading.folder_of(number)}/{name}"
            yield Found(said=f"{name} is not the file that was built and proven", file=path)


@rule("PRF202", "wrong")
def weights_are_real(model: Model) -> Iterator[Found]:
    """A model that is served has weights that somebody trained.

    One that was built with random weights answers at the speed of the real one, and nonsense.

    Source: `tritonforge build --weights random`, as its manifest says.
    Remedy: build it with the weights that are meant.
    """
    for number in model.versions:
        known = model.manifests.get(number)
        if known is not None and known.weights == "random":
            said = f"version {number} was built with random weights"
            yield Found(said=said, file=_manifest(number))


@rule("PRF203", "wrong")
def the_gate_passed(model: Model) -> Iterator[Found]:
    """A version that is served has passed its gate, as its manifest says.

    The gate compares what it computes with the model that it was made from.

    Source: `tritonforge/gate/report.py`; a build publishes nothing else.
    Remedy: build the version again.
    """
    for number in model.versions:
        known = model.manifests.get(number)
        if known is not None and not known.gate.passed:
            said = f"the gate of version {number} has not passed"
            yield Found(said=said, file=_manifest(number))


@rule("PRF204", "wrong")
def manifests_are_whole(model: Model) -> Iterator[Found]:
    """A manifest can be read.

    Without it nothing tells what a version was built from, and by what it was proven.

    Source: `tritonforge/manifest.py`.
    Remedy: restore it, or build the version again.
    """
    for number, why in model.damaged.items():
        yield Found(said=why, file=_manifest(number))


@rule("PRF205", "wrong", is_echo=True)
def batches_are_proven(model: Model) -> Iterator[Found]:
    """max_batch_size is not above that with which the version was proven.

    A model may compute otherwise, or fail, at a batch that nobody tried.

    Source: `tritonforge/proving`, which tries the largest batch.
    Remedy: lower max_batch_size, or build the version again with this one.
    """
    if model.config is None:
        return
    most = model.config.message.max_batch_size
    for number in model.versions:
        known = model.manifests.get(number)
        if known is not None and most > max(known.max_batch_size, 0):
            said = f"max_batch_size is {most}, and version {number} is proven up to"
            yield Found(said=f"{said} {known.max_batch_size}", at="max_batch_size")


@rule("PRF206", "wrong")
def the_config_is_there(model: Model) -> Iterator[Found]:
    """A version that was built has the config beside it with which it was proven.

    Without one the server makes up its own from the file: batches of 4 at most, instances as it has
    them by default, no accelerators and no parameters.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (AutoCompleteConfig).
    Remedy: restore config.pbtxt, whose text manifest.json holds as config; or build the version
    again.
    """
    known = [number for number in model.versions if number in model.manifests]
    if not known or model.text is not None or {CONFIG, f"{CONFIG}/"} & {*model.entries}:
        return
    if not any(True for _ in a_config_is_called_config.judge(model)):  # which tells why
        said = f"there is no {CONFIG}, with which version {known[-1]} was proven"
        yield Found(said=f"{said}: the server makes up another", file=CONFIG)


@rule("PRF301", "advice", is_echo=True)
def the_config_is_proven(model: Model) -> Iterator[Found]:
    """The config computes as the one did with which the version was proven.

    That is compared by fields that can change an answer: tensors, optimization and parameters.
    Whoever edits them on purpose may ask `tritonforge parity` whether the answers still agree.

    Source: `tritonforge/manifest.py`, which holds the config of the build.
    Remedy: run `tritonforge parity`, or build the version again with `--update-config`.
    """
    if model.config is None:
        return
    for number in model.versions:
        known = model.manifests.get(number)
        if known is not None and known.config != model.text:
            for changed in _changed(known.config, model.config.message):
                said = f"{changed} is not as version {number} was proven with"
                yield Found(said=said, at=changed)


def _changed(proven: str, message: Any) -> tuple[str, ...]:
    """Name the fields in which a config computes otherwise."""
    try:
        before = _unlabelled(pbtxt.parse_known(proven))
    except ConfigError:  # of a newer tritonforge, perhaps
        return ()
    after = _unlabelled(message)
    return tuple(each for each in _COMPUTED if getattr(before, each) != getattr(after, each))


def _unlabelled(message: Any) -> Any:
    """Return a copy whose outputs name no labels, which change no answer."""
    copy = pbtxt.ModelConfig()
    copy.CopyFrom(message)
    for each in copy.output:
        each.ClearField("label_filename")
    return copy


def _manifest(number: int) -> str:
    """Return where the manifest of a version lies."""
    return f"{reading.folder_of(number)}/{MANIFEST}"
