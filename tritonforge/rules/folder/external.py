"""Rules of weights that a model keeps in other files."""

from collections.abc import Callable, Iterator

from tritonforge.graph import External
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model

_HELD_SINCE = (1, 27)  # the ONNX Runtime that refuses weights outside the model's folder


@rule("EXT101", "refused")
def weights_are_there(model: Model) -> Iterator[Found]:
    """The files of weights that a model names are there, and as long as it says.

    ONNX Runtime loads no model of which one is missing, too short, or a folder or device.

    Source: onnxruntime, `tensorprotoutils.cc` (GetExtDataFromTensorProto).
    Remedy: copy the file too; it may lie where the model was exported.
    """
    yield from _faults(
        model, lambda each: not (each.is_outside and each.is_there) and not each.is_mistaken
    )


@rule("EXT102", "refused")
def weights_lie_inside(model: Model) -> Iterator[Found]:
    """From ONNX Runtime 1.27 on the files of weights lie in the folder of the model's file.

    It refuses absolute paths, those with `..`, and links out of the folder, such as a cache of
    downloads is made of.

    Source: onnxruntime, `tensorprotoutils.cc` (microsoft/onnxruntime#28725).
    Remedy: save the model with its weights beside it; copy what links lead to, as `cp -L` does.
    """
    if model.release.minor >= _HELD_SINCE:
        yield from _faults(model, lambda each: each.is_outside and each.is_there)


@rule("EXT201", "wrong")
def weights_lie_beside(model: Model) -> Iterator[Found]:
    """Before ONNX Runtime 1.27, too, the files of weights lie in the folder of the model's file.

    Others stay behind where the model is copied or mounted elsewhere; and whoever can write the
    model has the server read any file, such as /etc/passwd, into a tensor.

    Source: onnxruntime, `tensorprotoutils.cc` (GetExternalDataInfo).
    Remedy: save the model with its weights beside it, under a relative path.
    """
    if model.release.minor < _HELD_SINCE:
        yield from _faults(model, lambda each: each.is_outside and each.is_there)


@rule("EXT202", "wrong")
def weights_are_not_the_model(model: Model) -> Iterator[Found]:
    """No model names its own file as that of its weights.

    ONNX Runtime takes the bytes of the graph for values.

    Source: onnxruntime, `tensorprotoutils.cc` (GetExternalDataInfo).
    Remedy: export the model again, with its weights in a file of their own.
    """
    for file in model.contents:
        for each in file.externals:
            if each.fault is None and each.is_itself:
                yield Found(said="it names itself as the file of its weights", file=file.path)


@rule("EXT203", "wrong")
def weights_are_fetched(model: Model) -> Iterator[Found]:
    """No file of weights is a pointer of Git LFS.

    ONNX Runtime refuses it where it is too short, and else takes its text for values.

    Source: onnxruntime, `tensorprotoutils.cc` (GetExtDataFromTensorProto); tried on 1.19.
    Remedy: run `git lfs pull`.
    """
    yield from _faults(model, lambda each: each.is_mistaken)


def _faults(model: Model, is_meant: Callable[[External], bool]) -> Iterator[Found]:
    """Yield what is wrong with files of weights."""
    for file in model.contents:
        for each in file.externals:
            if each.fault is not None and is_meant(each):
                yield Found(said=f"it {each.fault}", file=file.path)
