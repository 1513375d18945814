"""Repositories that are there to be changed: models by name, and one that a server is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format
from repertoire import REPOSITORIES

from tritonforge.pbtxt import ModelConfig


@dataclass(kw_only=True)
class Specimen:
    """A model: its config, None where it has none, and the files beside it, `folder/` too.

    A `text` is written in place of what the config would be written as.
    """

    config: ModelConfig | None
    files: dict[str, bytes]
    text: str | None = None
    folder: str | None = None

    def written(self) -> str | None:
        """Return the text of its config."""
        if self.text is not None or self.config is None:
            return self.text
        return text_format.MessageToString(self.config, as_utf8=True)


@dataclass(kw_only=True)
class Case:
    """Models of which the server is asked for `main`, and how they came to be what they are."""

    name: str
    main: str
    models: dict[str, Specimen]
    base: str
    changes: list[str] = field(default_factory=list)


def case(base: str, name: str) -> Case:
    """Make a repository whose models bear the case's name, so that a server keeps them apart."""
    described = REPOSITORIES[base]()
    names = {local: name if local == "m" else f"{name}_{local}" for local in described}
    models = {}
    for local, (config, files) in described.items():
        message = None if config is None else _parsed(config, names, names[local])
        models[names[local]] = Specimen(config=message, files=dict(files))
    return Case(name=name, main=name, models=models, base=base)


def _parsed(config: str, names: Mapping[str, str], name: str) -> ModelConfig:
    """Read a config, with the names of the case."""
    message = text_format.Parse(config, ModelConfig())
    message.name = name
    for step in message.ensemble_scheduling.step:
        step.model_name = names.get(step.model_name, step.model_name)
    return message


def place(case: Case, root: Path) -> None:
    """Write the models of a case below a folder."""
    for name, specimen in case.models.items():
        folder = root / (specimen.folder or name)
        folder.mkdir(parents=True)
        for path, content in specimen.files.items():
            target = folder / path
            if path.endswith("/"):
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        text = specimen.written()
        if text is not None:
            (folder / "config.pbtxt").write_bytes(text.encode("utf-8", "surrogateescape"))
