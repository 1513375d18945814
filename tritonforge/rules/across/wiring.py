"""How an ensemble ties its models together: its steps, and the tensors that they share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tritonforge.rules.places import keyed, value_of
from tritonforge.rules.subjects import Model, Models

_STEP = "ensemble_scheduling.step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of an ensemble, and its place in the config; `model` is None where there is none.

    `face` is the config under which the server serves the model, None where that is not known.
    """

    ensemble: str
    at: str
    step: Any
    model: Model | None

    @property
    def face(self) -> Any:
        """Return the config that tells what the model takes and gives."""
        return None if self.model is None else face(self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A tensor of an ensemble that two do not have alike: in `dtype` or in `shape`."""

    kind: Literal["dtype", "shape"]
    tensor: str
    owner: str
    before: str
    other: str
    after: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """A tensor as one of its users has it; `full` is its shape with the batch."""

    owner: str
    dtype: str
    dims: tuple[int, ...]
    full: tuple[int, ...]


def ensembles(models: Models) -> Iterator[str]:
    """Name the ensembles of a repository whose configs can be read."""
    for name, model in models.models.items():
        if model.config is not None and model.config.message.HasField("ensemble_scheduling"):
            yield name


def steps(models: Models, ensemble: str | None = None) -> Iterator[Step]:
    """Yield the steps of an ensemble, by default of every one."""
    for name in ensembles(models) if ensemble is None else (ensemble,):
        for number, step in enumerate(models.models[name].message.ensemble_scheduling.step):
            model = models.models.get(step.model_name)
            yield Step(ensemble=name, at=f"{_STEP}[{number}]", step=step, model=model)


def edges(models: Models) -> dict[str, dict[str, None]]:
    """Return by ensemble the names of its steps' models, each once, in order."""
    return {
        name: dict.fromkeys(each.step.model_name for each in steps(models, name))
        for name in ensembles(models)
    }


def face(model: Model) -> Any:
    """Return the config under which a model is served: its own, completed from its newest file.

    None where neither tells its tensors.
    """
    if model.contents:
        return model.contents[-1].served
    message = model.message
    return message if message is not None and message.input and message.output else None


def clashes(models: Models, ensemble: str) -> Iterator[Clash]:
    """Yield the tensors that the models of an ensemble, and itself, do not have alike."""
    own = models.models[ensemble].message
    known = {
        each.name: _node(ensemble, each, own.max_batch_size, reshaped=True)
        for each in (*own.output, *own.input)  # one that is both is compared as an input
    }
    for each in steps(models, ensemble):
        if (face := each.face) is None:
            continue
        for kind in ("input", "output"):
            mapped = getattr(each.step, f"{kind}_map")
            for tensor in getattr(face, kind):
                if tensor.name not in mapped:
                    continue
                name = mapped[tensor.name]
                node = _node(each.step.model_name, tensor, face.max_batch_size)
                at = keyed(f"{each.at}.{kind}_map", tensor.name)
                yield from _compared(name, known.setdefault(name, node), node, at)


def _node(owner: str, tensor: Any, batch: int, *, reshaped: bool = False) -> _Node:
    """Describe a tensor; the server takes an ensemble's own tensors as they are reshaped."""
    dims = tuple(tensor.reshape.shape if reshaped and tensor.HasField("reshape") else tensor.dims)
    full = (-1, *dims) if batch > 0 else dims
    return _Node(owner=owner, dtype=value_of(tensor, "data_type"), dims=dims, full=full)


def _compared(tensor: str, before: _Node, after: _Node, at: str) -> Iterator[Clash]:
    """Yield how two users of a tensor differ."""
    told = {"tensor": tensor, "owner": before.owner, "other": after.owner, "at": at}
    if before.dtype != after.dtype:
        yield Clash(kind="dtype", before=before.dtype, after=after.dtype, **told)
    elif not (_agree(before.dims, after.dims) or _agree(before.full, after.full)):
        yield Clash(kind="shape", before=str([*before.dims]), after=str([*after.dims]), **told)


def _agree(left: Sequence[int], right: Sequence[int]) -> bool:
    """Say whether two shapes may be one; -1 is any size."""
    return len(left) == len(right) and all(
        a == b or -1 in {a, b} for a, b in zip(left, right, strict=True)
    )
