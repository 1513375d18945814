"""Rules of names and folders."""

from collections.abc import Iterator

from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Model


@rule("LAY101", "refused")
def named_as_its_folder(model: Model) -> Iterator[Found]:
    """A config has the name of its folder, or none.

    The server calls a model by its folder, and loads none whose config says another name.

    Source: triton-inference-server/core, `model_repository_manager.cc`.
    Remedy: rename the folder or the model; a config without a name takes the folder's.
    """
    if model.config is not None and model.config.message.name not in {"", model.name}:
        yield Found(
            said=f"the name is {model.config.message.name!r}, the folder's {model.name!r}",
            at="name",
            changes=(Change(path="name", value=f'"{model.name}"'),),
        )
