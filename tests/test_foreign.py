"""Files that others exported, and models of odd shapes: from build to parity on the real server."""

from pathlib import Path

import nets
import numpy as np
import pytest
import tiny
from onnx import TensorProto as T
from onnx import numpy_helper

from tritonforge import release
from tritonforge.build import build
from tritonforge.parity import Wish, parity
from tritonforge.repository import Repository
from tritonforge.spec import Domain, ModelSpec, Range, parse_input

NETS = str(Path(nets.__file__))
KERNEL = numpy_helper.from_array(np.full((4, 3, 3, 3), 0.1, np.float32), "kernel")

FILES = {
    "convolution": (
        [("Conv", ["x", "kernel"], ["y"], {"pads": [1, 1, 1, 1]})],
        [("x", T.FLOAT, ["N", 3, "H", "W"])],
        [("y", T.FLOAT, ["N", 4, "H", "W"])],
        [KERNEL],
    ),
    "dtypes": (
        [("Add", ["a", "a"], ["c"], {}), ("Not", ["b"], ["d"], {})],
        [("a", T.DOUBLE, ["N", 2]), ("b", T.BOOL, ["N", 5])],
        [("c", T.DOUBLE, ["N", 2]), ("d", T.BOOL, ["N", 5])],
        [],
    ),
    "text": (
        [("Identity", ["s"], ["t"], {})],
        [("s", T.STRING, ["N", 2])],
        [("t", T.STRING, ["N", 2])],
        [],
    ),
    "fixed": ([("Relu", ["x"], ["y"], {})], [("x", T.FLOAT, [1, 3])], [("y", T.FLOAT, [1, 3])], []),
    "scalar": ([("Add", ["x", "x"], ["y"], {})], [("x", T.FLOAT, [])], [("y", T.FLOAT, [])], []),
    "unnamed": (
        [("Neg", ["x"], ["y"], {})],
        [("x", T.FLOAT, [None, None])],
        [("y", T.FLOAT, [None, None])],
        [],
    ),
}
MODULES = {
    "scripted": {},
    "headed": {
        "inputs": (parse_input("x:FP32:batch,t,8"),),
        "ranges": (("t", Range(high=12)),),
    },
    "two_by_two": {
        "inputs": tuple(parse_input(f"{name}:INT64:batch,seq") for name in ("ids", "mask")),
        "ranges": (("seq", Range(high=12)),),
        "domains": (("mask", Domain(kind="mask")),),
    },
}


def agrees(repository, spec):
    """Build, serve and compare."""
    built = build(spec, repository)
    (report,) = parity(repository, (built.name,), Wish(), rehearsed=lambda _: None)
    assert report.passed, report
    return built


@pytest.mark.parametrize("name", FILES)
def test_a_foreign_file_goes_all_the_way(name, tmp_path):
    nodes, inputs, outputs, initializers = FILES[name]
    path = tiny.save(tmp_path / f"{name}.onnx", nodes, inputs, outputs, initializers)
    spec = ModelSpec(source=str(path), target=release.find("24.10"), max_batch_size=4)
    built = agrees(Repository(tmp_path / "models"), spec)
    assert (built.manifest.max_batch_size == 0) == (name in {"fixed", "scalar"})


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
@pytest.mark.parametrize("name", MODULES)
def test_a_module_goes_all_the_way(name, tmp_path):
    spec = ModelSpec(source=f"{NETS}:{name}", target=release.find("24.10"), **MODULES[name])
    agrees(Repository(tmp_path / "models"), spec)
