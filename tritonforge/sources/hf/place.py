"""Where a Hugging Face model is, on the hub or in a folder, and what it is to do."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge.errors import SourceError

_PREFIX = "hf:"
_ID = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A model's ID on the hub, or its folder; a revision of the former; a task or a class."""

    name: str
    folder: Path | None = None
    revision: str | None = None
    task: str | None = None

    @property
    def is_pinned(self) -> bool:
        """Say whether it is always the same."""
        return self.folder is not None or bool(_COMMIT.fullmatch(self.revision or ""))

    @property
    def options(self) -> dict[str, Any]:
        """Return how transformers finds it; code that comes with it is never run."""
        options = {"trust_remote_code": False, "local_files_only": self.folder is not None}
        return options | ({"revision": self.revision} if self.revision else {})


def claims(text: str) -> bool:
    """Take `hf:…`."""
    return text.startswith(_PREFIX)


def parse(text: str) -> Place:
    """Read a source's text; a folder that is there wins over an ID. Raises `SourceError`."""
    name, _, task = text.removeprefix(_PREFIX).partition("#")
    if name and Path(name).is_dir():
        return Place(name=name, folder=Path(name), task=task or None)
    model, _, revision = name.partition("@")
    if not _ID.fullmatch(model) or Path(name).exists():
        raise SourceError(
            f"{name!r} is neither a folder nor the ID of a model on the Hugging Face hub",
            hint="write hf:bert-base-uncased, hf:org/name@revision or hf:folder, and #task behind",
        )
    return Place(name=model, revision=revision or None, task=task or None)
