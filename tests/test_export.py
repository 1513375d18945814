"""Both exporters, and the module itself as a `Run`."""

import logging
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import nets
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tritonforge import export, graph
from tritonforge.errors import ExportError
from tritonforge.export import ExporterError
from tritonforge.spec import parse_input

METHODS = pytest.mark.parametrize("method", ["dynamo", "torchscript"])
FEATURES = parse_input("features:FP32:batch,8")
IDS, MASK = parse_input("ids:INT64:batch,seq"), parse_input("mask:INT64:batch,seq")
TOKENS = {
    "ids": np.arange(6).reshape(2, 3),
    "mask": np.array([[1, 1, 0], [1, 0, 0]]),
}
ONE, TWO = torch.ones(1), torch.full((1,), 2.0)


class Returning(nn.Module):
    """Returns what it is told to."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        del x
        return self.value


def features(rows=3):
    return {"features": np.random.default_rng(0).normal(size=(rows, 8)).astype(np.float32)}


def names(value):
    """Name the outputs of a module that returns `value`."""
    return export.flattened(Returning(value), ["x"], {"x": np.ones(1, np.float32)}).outputs


@METHODS
def test_the_file_computes_what_the_module_does(method, tmp_path, capfd):
    module, path = nets.Mlp().eval(), tmp_path / "m.onnx"
    export.export(module, [FEATURES], ["scores"], features(), path, method=method, opset=18)
    assert capfd.readouterr() == ("", "")
    model = graph.load(path)
    assert graph.stamp_of(model).opset == 18
    assert [str(each) for each in graph.signature(model).inputs] == ["features:FP32:batch,8"]
    assert [str(each) for each in graph.signature(model).outputs] == ["scores:FP32:batch,4"]
    run = export.eager(module, ["features"], ["scores"])
    with graph.session(path) as session:
        for rows in (1, 2, 7):
            sample = features(rows)
            np.testing.assert_allclose(session(sample)["scores"], run(sample)["scores"], atol=1e-5)


@METHODS
def test_inputs_in_any_order_reach_their_arguments(method, tmp_path):
    module, path = nets.TwoByTwo().eval(), tmp_path / "m.onnx"
    outputs = export.flattened(module, ["mask", "ids"], TOKENS).outputs
    assert outputs == ("pooled", "hidden")
    export.export(module, [MASK, IDS], outputs, TOKENS, path, method=method, opset=17)
    want = export.eager(module, ["mask", "ids"], outputs)(TOKENS)
    with graph.session(path) as session:
        got = session(TOKENS)
    for name in outputs:
        np.testing.assert_allclose(got[name], want[name], atol=1e-6)


def test_an_argument_between_may_be_left_out():
    class Between(nn.Module):
        def forward(self, a, b=None, c=None):
            return a - c if b is None else b

    arrays = {"a": np.full(1, 5.0, np.float32), "c": np.full(1, 2.0, np.float32)}
    assert export.eager(Between(), ["a", "c"], ["y"])(arrays)["y"] == 3
    assert export.eager(Between(), ["c", "a"], ["y"])(arrays)["y"] == 3


def test_names_that_the_module_does_not_know_go_by_position():
    module = nets.Mlp().eval()
    want = export.eager(module, ["features"], ["y"])(features())["y"]
    got = export.eager(module, ["anything"], ["y"])({"anything": features()["features"]})["y"]
    np.testing.assert_array_equal(got, want)


def test_a_scripted_module_is_known_and_bound_by_its_schema():
    module = nets.scripted()[0]
    assert export.is_scripted(module)
    assert not export.is_scripted(nets.Mlp())
    array = np.ones((2, 4), np.float32)
    assert export.eager(module, ["x"], ["y"])({"x": array})["y"].shape == (2, 4)


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


@dataclass
class Boxes:
    boxes: torch.Tensor
    scores: torch.Tensor


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (ONE, ("output",)),
        ((ONE,), ("output",)),
        ([[ONE]], ("output",)),
        ((ONE, TWO), ("output_0", "output_1")),
        ((ONE, (ONE, TWO)), ("output_0", "output_1_0", "output_1_1")),
        ((ONE, None, TWO), ("output_0", "output_2")),
        ({"a": ONE, "b": TWO}, ("a", "b")),
        (OrderedDict(b=ONE, a=TWO), ("b", "a")),
        ({"a": {"b": ONE}, "c": (ONE, TWO)}, ("a_b", "c_0", "c_1")),
        ({"a": (ONE,)}, ("a",)),
        (({"a": ONE}, TWO), ("output_0_a", "output_1")),
        (Pair(ONE, TWO), ("left", "right")),
        (Boxes(ONE, TWO), ("boxes", "scores")),
        ({"x": ONE}, ("x_out",)),
    ],
)
def test_outputs_are_named_after_what_the_model_calls_them(value, wanted):
    assert names(value) == wanted


def test_two_outputs_never_share_a_name():
    found = names({"a": {"b": ONE}, "a_b": TWO})
    assert len(set(found)) == 2


@pytest.mark.parametrize("value", [None, (), {}, 3, "text"])
def test_a_model_without_a_tensor_to_return(value):
    with pytest.raises(ExportError, match="the model returns no tensor"):
        names(value)


def test_a_model_that_returns_more_than_before_is_told():
    class Rows(nn.Module):
        def forward(self, x):
            return list(x)

    run = export.eager(Rows(), ["x"], ["a", "b"])
    assert set(run({"x": np.ones((2, 3), np.float32)})) == {"a", "b"}
    with pytest.raises(ExportError, match="returned 3 tensors where it returned 2 before"):
        run({"x": np.ones((3, 3), np.float32)})


def test_eager_values_are_named_arrays_without_gradients():
    module = nets.Mlp()
    (array,) = export.eager(module, ["features"], ["y"])(features()).values()
    assert (array.dtype, array.shape) == (np.float32, (3, 4))


def test_the_callers_arrays_are_left_alone():
    class Doubles(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    array = np.ones(2, np.float32)
    array.flags.writeable = False
    assert export.eager(Doubles(), ["x"], ["y"])({"x": array})["y"].tolist() == [2, 2]
    assert array.tolist() == [1, 1]


def test_a_model_that_fails_is_told_with_shapes_and_line():
    with pytest.raises(ExportError) as caught:
        export.eager(nets.Mlp(), ["features"], ["y"])({"features": np.ones((2, 7), np.float32)})
    assert str(caught.value).startswith("the model itself fails on [2, 7]: RuntimeError: mat1 and")
    assert "at nets.py:" in str(caught.value)
    assert "self.layers(features)" in str(caught.value)
    assert "--input" in caught.value.hint


class Sees(nn.Module):
    def forward(self, ids, visual_feats=None, size=None):
        if size is None and ids.shape[0] == 3:
            raise ValueError("the size is wrong")
        if visual_feats is None:
            raise ValueError("`visual_feats` cannot be `None`")
        return ids


def test_an_input_that_a_model_misses_is_named():
    hints = []
    for rows in (2, 3):
        with pytest.raises(ExportError) as caught:
            export.eager(Sees(), ["ids"], ["y"])({"ids": np.ones((rows, 7), np.float32)})
        hints.append(caught.value.hint)
    assert "visual_feats too, as in --input visual_feats:FP32:batch,4" in hints[0]
    assert "too" not in hints[1]
    with pytest.raises(ExportError) as caught:
        export.eager(nets.Mlp(), [], ["y"])({})
    assert "--input features:" in caught.value.hint


def test_too_many_inputs_are_told_without_a_line_of_ours():
    x = np.ones((2, 8), np.float32)
    with pytest.raises(ExportError, match="takes 2 positional arguments but 3 were") as caught:
        export.eager(nets.Mlp(), ["a", "b"], ["y"])({"a": x, "b": x})
    assert "export.py" not in str(caught.value)


def test_a_failed_export_leaves_output_and_logging_as_they_were(tmp_path, capfd):
    before = logging.root.manager.disable
    x = parse_input("x:FP32:batch,4")
    with pytest.raises(ExporterError):
        export.export(
            nets.Deciding(),
            [x],
            ["y"],
            {"x": np.ones((2, 4), np.float32)},
            tmp_path / "m.onnx",
            method="dynamo",
            opset=18,
        )
    assert logging.root.manager.disable == before
    assert capfd.readouterr() == ("", "")
    print("heard")  # noqa: T201 - that it is heard is the point
    assert capfd.readouterr().out == "heard\n"


def test_weights_lie_inside_the_file(tmp_path):
    path = tmp_path / "m.onnx"
    export.export(nets.Mlp(), [FEATURES], ["y"], features(), path, method="dynamo", opset=18)
    assert [each.name for each in tmp_path.iterdir()] == ["m.onnx"]
    assert graph.external_files(path) == ()
    onnx.checker.check_model(path, full_check=True)


CHATTY = """
import sys; sys.path.insert(0, sys.argv[1])
import nets
from tritonforge import exporting, release, sources
from tritonforge.errors import ExportError
from tritonforge.spec import ModelSpec
from pathlib import Path
for name in ("scripted", "exotic"):
    spec = ModelSpec(source=f"{sys.argv[1]}/nets.py:{name}", target=release.find("24.10"))
    loaded = sources.load(spec)
    try:
        exporting.make(loaded, spec, Path("m.onnx"), lambda *args: None)
    except ExportError:
        print(name, "refused")
"""


def test_nothing_leaks_out_of_a_process_whose_output_is_a_pipe(tmp_path):
    here = str(Path(__file__).parent)
    ended = subprocess.run(
        [sys.executable, "-c", CHATTY, here],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("exotic refused\n", "")


def test_a_complex_output_is_told_as_such():
    with pytest.raises(ExportError, match="the output 'output' is complex") as caught:
        names(torch.ones(2, dtype=torch.complex64))
    assert "view_as_real" in caught.value.hint
