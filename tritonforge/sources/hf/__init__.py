"""Models of Hugging Face, from the hub or a folder: `hf:bert-base-uncased`, `hf:folder#fill-mask`.

`hf:ID@REVISION` pins a commit, a tag or a branch; behind `#` stands a task as transformers names
it, or one of its classes.
"""

from contextlib import nullcontext
from pathlib import Path

from tritonforge.sources import hub
from tritonforge.sources.hf.place import Place, claims, parse
from tritonforge.sources.protocol import Loaded, Origin
from tritonforge.spec import ModelSpec

__all__ = ["claims", "load", "model_name", "origin"]


def model_name(text: str) -> str:
    """Return the last part of the ID, or the folder's name, and the task where one is asked."""
    place = parse(text)
    name = place.folder.resolve().name if place.folder else place.name.rsplit("/", 1)[-1]
    return f"{name}-{place.task}" if place.task else name


def origin(text: str) -> Origin | None:
    """Return the config of a folder and the task, None for what comes from the hub."""
    model = parse(text)
    if model.folder is None:
        return None
    return Origin(path=model.folder / "config.json", part=model.task or "")


def load(text: str, spec: ModelSpec) -> Loaded:
    """Make the model that its config describes, with the weights that are wished."""
    place = parse(text)
    with nullcontext() if place.folder is not None else hub.reached():
        return _made(place, spec)


def _made(place: Place, spec: ModelSpec) -> Loaded:
    """Make the model of a place, and tell what is known of it."""
    import torch
    import transformers

    from tritonforge.sources import weights as states
    from tritonforge.sources.hf import beside, facts, inputs, making
    from tritonforge.sources.hf.prepared import prepared

    torch.manual_seed(spec.seed)
    module, notes = making.make(place, spec)
    images = beside.table(place, "preprocessor_config.json")
    texts = beside.table(place, "tokenizer_config.json")
    longest = facts.longest(texts, beside.table(place, "sentence_bert_config.json"))
    found = inputs.of(module, images, longest, {each.name for each in spec.inputs})
    said = dict(spec.ranges)
    return Loaded(
        module=module,
        inputs=spec.inputs or found.tensors,
        domains=found.domains,
        ranges=found.ranges,
        asked=bool(spec.inputs),
        prepared=prepared,
        labels=facts.labels(module),
        weights=states.origin(spec, _pretrained(place, module)),
        weights_sha256=states.fingerprint(module),
        versions={"torch": torch.__version__, "transformers": transformers.__version__},
        read=_files(place),
        unseen=None if place.is_pinned else _MOVES.format(place.name),
        preprocessing=facts.preprocessing(found.tensors, images, texts, longest),
        notes=(*notes, *(note for dim, note in found.notes.items() if dim not in said)),
    )


_MOVES = "{0} may have moved on the hub since; hf:{0}@COMMIT would not"


def _files(place: Place) -> tuple[Path, ...]:
    """Return the files of a folder that a build reads: all in it, and those of its parts."""
    if place.folder is None:
        return ()
    found = [*place.folder.iterdir(), *place.folder.glob("*_*/*")]
    return tuple(sorted(each.absolute() for each in found if each.is_file()))


def _pretrained(place: Place, module: object) -> str:
    """Say where the weights that belong to a model come from."""
    if place.folder is not None:
        return f"folder {place.name}"
    commit = getattr(getattr(module, "config", None), "_commit_hash", None)
    return f"pretrained {place.name}" + (f", commit {commit}" if commit else "")
