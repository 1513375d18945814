"""One version of one model, and how its files are called."""

from dataclasses import dataclass
from pathlib import Path

CONFIG = "config.pbtxt"
MODEL = "model.onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version of one model: `<root>/<model>/<version>/`."""

    model: str
    version: int
    model_dir: Path

    @property
    def version_dir(self) -> Path:
        """Return the folder of the version."""
        return self.model_dir / str(self.version)

    @property
    def config_path(self) -> Path:
        """Return the model's `config.pbtxt`."""
        return self.model_dir / CONFIG
