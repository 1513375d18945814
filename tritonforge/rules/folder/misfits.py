"""What of a model does not fit its file, as the rules ask for it."""

from collections.abc import Iterator

from tritonforge import pbtxt
from tritonforge.pbtxt.fitting import Kind
from tritonforge.rules.rule import Change, Found
from tritonforge.rules.subjects import Model
from tritonforge.tensors import Value


def found(model: Model, kind: Kind) -> Iterator[Found]:
    """Yield the misfits of a kind, each once for all versions that are served."""
    if kind == "batch" and not (model.config and pbtxt.is_complete(model.config.message)):
        return  # what is completed has a rule of its own, which asks for more
    seen = set()
    for file in model.files.values():
        for each in file.misfits:
            if each.kind == kind and (each.at, each.said) not in seen:
                seen.add((each.at, each.said))
                yield Found(
                    said=each.said,
                    at=each.at,
                    file=file.path if model.text is None else None,
                    changes=tuple(Change(path=path, value=value) for path, value in each.mends),
                )


def served(model: Model) -> Iterator[Value]:
    """Yield the tensors of the files that requests bring and get, each once."""
    seen = set()
    for file in model.files.values():
        if file.has is None or file.served is None:
            continue
        names = {each.name for each in (*file.served.input, *file.served.output)}
        for each in (*file.has.inputs, *file.has.outputs):
            if each.name in names and each not in seen:
                seen.add(each)
                yield each
