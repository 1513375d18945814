"""Inputs that no node reads, in branches too, and models that mind them all the same."""

import numpy as np
import pytest
from graphs import T, made, node, value
from onnx import helper

from tritonforge import graph, release
from tritonforge.build import build
from tritonforge.errors import GateError
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec

FACTORIES = """
import torch
from torch import nn


class Ignoring(nn.Module):
    def forward(self, x, flag):
        return x + 1


class Deciding(nn.Module):
    def forward(self, x, flag):
        return x * 2 if flag.sum() > 0 else x + 1


def ignoring():
    return Ignoring(), (torch.randn(2, 4), torch.zeros(2, 4))


def deciding():
    return Deciding(), (torch.randn(2, 4), torch.zeros(2, 4))
"""
INPUTS = [("x", T.FLOAT, ["n", 8]), ("c", T.BOOL, [1]), ("y", T.FLOAT, ["n", 8])]


def test_an_input_is_used_by_nodes_branches_and_outputs():
    def branch(name):
        out = value("out", T.FLOAT, ["n", 8])
        return helper.make_graph([node("Neg", [name], ["out"])], name, [], [out])

    chosen = node("If", ["c"], ["z"], then_branch=branch("x"), else_branch=branch("x"))
    model = made([chosen], INPUTS, [("z", T.FLOAT, ["n", 8])])
    assert graph.unused_inputs(model) == ("y",)
    graph.drop_inputs(model, {"y"})
    assert [each.name for each in model.graph.input] == ["x", "c"]
    passed = made([], INPUTS[:1], INPUTS[:1])
    assert graph.unused_inputs(passed) == ()


@pytest.fixture
def built(tmp_path):
    """Return a builder of a factory into a repository of this test."""
    (tmp_path / "unused.py").write_text(FACTORIES)

    def make(factory, **more):
        source = f"{tmp_path / 'unused.py'}:{factory}"
        spec = ModelSpec(source=source, target=release.find("24.10"), name="net", **more)
        return build(spec, Repository(path=tmp_path / "models"))

    return make


def test_what_was_recorded_of_an_unused_input_goes_with_it(built, tmp_path):
    rows = np.ones((1, 4), np.float32)
    np.savez(tmp_path / "sample.npz", x=rows, flag=rows)
    made = built("ignoring", samples=(tmp_path / "sample.npz",))
    assert [each.name for each in made.manifest.signature.inputs] == ["x"]
    assert list(made.manifest.domains) == ["x"]
    with np.load(made.entry.version_dir / "recorded.npz") as held:
        assert all("flag" not in name for name in held.files)


def test_an_input_that_only_tracing_made_unused_fails_the_gate(built):
    with pytest.raises(GateError):
        built("deciding", exporter="torchscript")
