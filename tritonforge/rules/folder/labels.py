"""Rules of the files that name the classes of an output."""

from collections.abc import Iterator
from math import prod

from tritonforge.pbtxt.editing.paths import Key
from tritonforge.rules.places import several
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model


@rule("LBL101", "refused")
def labels_are_there(model: Model) -> Iterator[Found]:
    """The file of labels that an output names is a file in the model's folder.

    The server does not load a model of which it is missing, and ends where it is a folder: with it
    all other models.

    Source: triton-inference-server/core, `label_provider.cc` (AddLabels).
    Remedy: put the file beside config.pbtxt, or leave label_filename out.
    """
    for output, each in model.labels.items():
        if not each.is_there:
            what = "is a folder, which ends the server" if each.is_folder else "is not there"
            yield Found(said=f"the file of labels {each.file!r} {what}", at=_at(output))


@rule("LBL201", "wrong")
def labels_lie_inside(model: Model) -> Iterator[Found]:
    """The file of labels lies in the model's folder, and no link leads out of it.

    It stays behind where the model is copied, and whoever can write the config has the server tell
    the lines of any file. Newer releases of Triton load no model that leads out by `..`.

    Source: triton-inference-server/core, `model.cc` (the label file path is outside model
    directory).
    Remedy: copy the file beside config.pbtxt.
    """
    for output, each in model.labels.items():
        if each.is_outside and each.is_there:
            said = f"the file of labels {each.file!r} lies outside the model's folder"
            yield Found(said=said, at=_at(output))


@rule("LBL202", "wrong")
def labels_end_with_their_line(model: Model) -> Iterator[Found]:
    r"""The lines of a file of labels end with a line feed alone.

    The server parts them there and keeps the carriage return that Windows writes before it, so that
    clients are told `cat\r`, which equals no `cat`.

    Source: triton-inference-server/core, `label_provider.cc` (AddLabels, std::getline).
    Remedy: save the file with line ends of Unix, as `dos2unix` does.
    """
    for output, each in model.labels.items():
        if each.returns:
            said = f"{each.file!r} has line ends of Windows, whose \\r stays in the labels"
            yield Found(said=said, at=_at(output))


@rule("LBL203", "wrong")
def labels_are_fetched(model: Model) -> Iterator[Found]:
    """A file of labels is no pointer of Git LFS.

    The server takes the three lines of it for labels.

    Source: triton-inference-server/core, `label_provider.cc` (AddLabels).
    Remedy: run `git lfs pull`.
    """
    for output, each in model.labels.items():
        if each.is_pointer:
            said = f"{each.file!r} is a pointer of Git LFS, not the labels: run `git lfs pull`"
            yield Found(said=said, at=_at(output))


@rule("LBL301", "advice")
def labels_are_as_many(model: Model) -> Iterator[Found]:
    """There is a label for each value of the output, one a line.

    A value without one comes back with an empty label; those that are too many are never told.

    Source: triton-inference-server/core, `label_provider.cc` (GetLabel).
    Remedy: write one class a line, in the order of the output.
    """
    if model.config is None:
        return
    for entry in model.config.message.output:
        known, dims = model.labels.get(entry.name), list(entry.dims)
        if known is None or known.lines is None or not dims or min(dims) < 1:
            continue
        if known.lines != prod(dims):
            named = several(known.lines, "class", "classes")
            said = f"{known.file!r} names {named}, and {entry.name!r} has"
            yield Found(said=f"{said} {several(prod(dims), 'value')}", at=_at(entry.name))


def _at(output: str) -> str:
    """Return the place of an output's label_filename."""
    return f"output{Key(text=output)}.label_filename"
