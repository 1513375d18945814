"""Fixtures that several files share."""

import os
import signal
from pathlib import Path

import backend
import pytest
import tiny
from hypothesis import HealthCheck, settings
from onnx import TensorProto as T
from onnx import helper

from tritonforge import server, toolchain
from tritonforge.toolchain import Toolchain, machine

# A shell's background job ignores ^C and so would the children that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether it is right.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

# A test means the same with a GPU and without; those that are about one ask for it.
_SHOWN = os.environ.get("CUDA_VISIBLE_DEVICES")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# Nothing that a check remembers goes to the home of whoever runs the tests, or comes from there.
os.environ["TRITONFORGE_CHECK_CACHE"] = "none"


@pytest.fixture
def real_gpu(monkeypatch):
    """Show the machine's GPUs; skip where there is none."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if _SHOWN is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", _SHOWN)
    reason = machine.no_gpu()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def parts():
    """Return the ONNX Runtime backend's own modules, as far as they need no server."""
    return backend.parts()


# --- the embedded server ------------------------------------------------------------------------

_WAITS = "dynamic_batching { max_queue_delay_microseconds: 300000 }"
_TYPES = "UINT8 INT8 UINT16 INT16 INT32 INT64 FP16 FP32 FP64 UINT32 UINT64 BOOL STRING"
_ONNX = {"FP16": T.FLOAT16, "FP32": T.FLOAT, "FP64": T.DOUBLE}


@pytest.fixture(scope="session")
def embedded() -> Toolchain:
    """Return the real server, installed on first need."""
    return toolchain.own()


@pytest.fixture(scope="session")
def endpoint(embedded, tmp_path_factory):
    """Serve one tiny model of each kind to all tests."""
    repository = tmp_path_factory.mktemp("served")
    tiny.double(repository)
    tiny.double(repository, "waits", _WAITS)
    _types(repository)
    _two(repository)
    _gather(repository)
    _scalar(repository)
    tiny.place(repository, "bare", None, *tiny.DOUBLE)
    with server.serving(repository, embedded) as ready:
        yield ready


def _types(repository: Path) -> None:
    """Place a model that hands on one tensor of each dtype."""
    names = _TYPES.split()
    kinds = [_ONNX.get(name) or getattr(T, name) for name in names]
    tiny.place(
        repository,
        "types",
        tiny.config(
            4,
            ";".join(f"in_{name} {name} 2" for name in names),
            ";".join(f"out_{name} {name} 2" for name in names),
        ),
        [("Identity", [f"in_{name}"], [f"out_{name}"], {}) for name in names],
        [(f"in_{name}", kind, ["n", 2]) for name, kind in zip(names, kinds, strict=True)],
        [(f"out_{name}", kind, ["n", 2]) for name, kind in zip(names, kinds, strict=True)],
    )


def _two(repository: Path) -> None:
    """Place a model with two inputs and two outputs, of dynamic length."""
    tiny.place(
        repository,
        "two",
        tiny.config(8, "a FP32 -1;b FP32 -1", "sum FP32 -1;rest FP32 -1", _WAITS),
        [("Add", ["a", "b"], ["sum"], {}), ("Sub", ["a", "b"], ["rest"], {})],
        [("a", T.FLOAT, ["n", "length"]), ("b", T.FLOAT, ["n", "length"])],
        [("sum", T.FLOAT, ["n", "length"]), ("rest", T.FLOAT, ["n", "length"])],
    )


def _gather(repository: Path) -> None:
    """Place a model that looks up rows 0 to 9 of a table, and fails beyond."""
    tiny.place(
        repository,
        "gather",
        tiny.config(8, "i INT64 1", "row FP32 1", _WAITS),
        [("Gather", ["table", "i"], ["row"], {"axis": 0})],
        [("i", T.INT64, ["n", 1])],
        [("row", T.FLOAT, ["n", 1])],
        initializers=[helper.make_tensor("table", T.FLOAT, [10], list(range(10)))],
    )


def _scalar(repository: Path) -> None:
    """Place a model that cannot batch and takes and gives scalars."""
    tiny.place(
        repository,
        "scalar",
        tiny.config(0, "x FP32 1", "y FP32 1", ""),
        [("Add", ["x", "x"], ["y"], {})],
        [("x", T.FLOAT, [])],
        [("y", T.FLOAT, [])],
    )
