"""What the tests of the ONNX Runtime backend share: its own modules, and many requests at once."""

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

from tritonforge import client, server
from tritonforge.errors import ServerError

FOLDER = Path(server.__file__).parent / "backends" / "onnxruntime"
_ALONE = "batch complete match open options providers ragged sequence state warmup"


def parts() -> SimpleNamespace:
    """Import the modules that need no server around them; they lie on no package path."""
    sys.path.insert(0, str(FOLDER))
    try:
        names = [f"ort_{name}" for name in _ALONE.split()]
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(FOLDER))


def together(endpoint, model, asks):
    """Send all at once, each on a connection of its own; return answers and errors in order."""

    def ask(arrays):
        with client.remote(endpoint, model) as run:
            try:
                return run(arrays)
            except ServerError as error:
                return error

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(ask, asks))
