"""Which of transformers' classes a config and a task ask for."""

from typing import Any

from tritonforge.errors import SourceError, did_you_mean


def of(config: Any, task: str | None) -> Any:
    """Return the class: the task's, else the one that the config names, else the bare model.

    Raises `SourceError` for a task that there is not, or that this kind of model has no class for.
    """
    import transformers

    if task is None:
        named = (getattr(config, "architectures", None) or [None])[0]
        found = getattr(transformers, named, None) if named else _bare(config)
        if found is None:
            raise SourceError(
                f"transformers has no class {named or 'for ' + repr(config.model_type)}",
                hint="name a class or a task of transformers' own behind #; code that comes with"
                " a model is never run",
            )
        return found
    if task in (known := _tasks()):
        return _of_task(config, task, known)
    found = getattr(transformers, task, None)
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
        return found
    raise SourceError(
        f"transformers has no task {task!r}",
        hint=did_you_mean(task, known) or f"it has {', '.join(sorted(known))}, and its classes",
    )


def _bare(config: Any) -> Any:
    """Return the class of a model without a task, or of the only task that its kind has.

    A part of a model, such as the text side of ALIGN, has a class that no automatic one knows.
    """
    import transformers

    found = _first(config, ("AutoModel",))
    if found is not None:
        return found
    autos = [name for name in dir(transformers) if name.startswith("AutoModelFor")]
    others = {_first(config, (name,)) for name in autos} - {None} or _written_for(config)
    return others.pop() if len(others) == 1 else None


def _written_for(config: Any) -> set[Any]:
    """Return the classes beside a config that are written for it alone."""
    import importlib

    import transformers

    beside = type(config).__module__.replace(".configuration_", ".modeling_")
    try:
        module = importlib.import_module(beside)
    except ImportError:
        return set()
    kinds: list[Any] = [each for each in vars(module).values() if isinstance(each, type)]
    return {
        each
        for each in kinds
        if issubclass(each, transformers.PreTrainedModel)
        and each.config_class is type(config)
        and hasattr(transformers, each.__name__)
        and not each.__name__.endswith("PreTrainedModel")
    }


def _tasks() -> dict[str, tuple[str, ...]]:
    """Return the automatic classes of each task, as transformers' pipelines have them."""
    from transformers.pipelines import SUPPORTED_TASKS

    return {
        task: tuple(each.__name__ for each in said["pt"]) for task, said in SUPPORTED_TASKS.items()
    }


def _of_task(config: Any, task: str, known: dict[str, tuple[str, ...]]) -> Any:
    """Return the class of a model for a task."""
    found = _first(config, known[task])
    if found is None:
        able = sorted(name for name, autos in known.items() if _first(config, autos) is not None)
        raise SourceError(
            f"a model of kind {config.model_type!r} has no class for the task {task!r}",
            hint=f"it has them for {', '.join(able)}" if able else "name a class behind #",
        )
    return found


def _first(config: Any, autos: tuple[str, ...]) -> Any:
    """Return the class that the first of the automatic classes gives a config, None for none."""
    import transformers

    for auto in autos:
        known = getattr(getattr(transformers, auto), "_model_mapping", None)
        # Whether it is empty is not asked: it would import the configs of every kind of model.
        classes = None if known is None else known.get(type(config), None)
        if classes is not None:
            return classes[0] if isinstance(classes, list | tuple) else classes
    return None
