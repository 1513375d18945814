"""What the tests of the ONNX Runtime backend share: its own modules, and many requests at once."""

import importlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from tritonforge import client, server
from tritonforge.errors import ServerError
from tritonforge.toolchain import Toolchain

FOLDER = Path(server.__file__).parent / "backends" / "onnxruntime"
_ALONE = "batch complete match open options providers ragged sequence state text warmup"


def parts() -> SimpleNamespace:
    """Import the modules that need no server around them; they lie on no package path."""
    sys.path.insert(0, str(FOLDER))
    try:
        names = [f"ort_{name}" for name in _ALONE.split()]
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(FOLDER))


def refused(repository: Path, tools: Toolchain) -> str:
    """Return what a server says of the models that it does not load.

    Triton 2.51 dies of it now and then (once in some thirty runs on a busy machine) where many fail
    at once: then it is asked again.
    """
    for last in (False, False, True):
        with pytest.raises(ServerError) as caught, server.serving(repository, tools):
            pass
        if last or "killed by SIGSEGV" not in caught.value.message:
            break
    return caught.value.message


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


def counted(endpoint, model, before):
    """Return inferences, executions and the largest batch since `before`, statistics of then.

    Triton counts what it has answered a moment after the answer: wait until nothing comes any more.
    """
    last, until = None, time.monotonic() + 10
    while time.monotonic() < until:
        after = client.statistics(endpoint, model)
        if after == last and after != before:
            break
        last = after
        time.sleep(0.2)
    sizes = {batch.size: batch.count for batch in before.batches}
    ran = [batch.size for batch in after.batches if batch.count > sizes.get(batch.size, 0)]
    return after.inferences - before.inferences, after.executions - before.executions, max(ran)
