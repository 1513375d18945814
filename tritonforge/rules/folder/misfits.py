"""What of a model does not fit its file, as the rules ask for it."""

from collections.abc import Iterator

from tritonforge import pbtxt
from tritonforge.pbtxt.fitting import Kind
from tritonforge.rules.rule import Change, Found
from tritonforge.rules.subjects import Model
from tritonforge.tensors import Value

# What depends on whether the first dimension of the file is a batch.
_BATCHED = {"rank", "size of input", "size of output", "state's shape"}


def found(model: Model, kind: Kind) -> Iterator[Found]:
    """Yield the misfits of a kind, each once for all versions that are served.

    What no place of the config is at fault for is of the file.
    """
    if kind == "batch" and not (model.config and pbtxt.is_complete(model.config.message)):
        return  # what is completed has a rule of its own, which asks for more
    if kind in _BATCHED and model.config and model.config.message.max_batch_size < 0:
        return  # which GEN101 tells, and nobody knows whether it batches
    seen = set()
    for file in model.contents:
        for each in file.misfits:
            if each.kind == kind and (each.at, each.said) not in seen:
                seen.add((each.at, each.said))
                yield Found(
                    said=each.said,
                    at=each.at,
                    file=None if each.at and model.text is not None else file.path,
                    changes=tuple(Change(path=path, value=value) for path, value in each.mends),
                )


def served(model: Model) -> Iterator[tuple[str, Value]]:
    """Yield the tensors of the files that requests bring and get, each once, with their file.

    Weights that a request may bring are among them where they are listed.
    """
    seen = set()
    for file in model.contents:
        names = {each.name for each in (*file.served.input, *file.served.output)}
        for each in (*file.has.inputs, *file.has.optional, *file.has.outputs):
            if each.name in names and each not in seen:
                seen.add(each)
                yield file.path, each
