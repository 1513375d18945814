"""What a build for TensorRT does to the file: names for its engines, half floats where it must."""

import numpy as np
import onnx
import pytest
import tiny
from onnx import TensorProto as T
from onnx import numpy_helper

from tritonforge import finishing, graph, parity, release
from tritonforge.build import build
from tritonforge.errors import SpecError
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec


def net(path, seed):
    """Save two products with a Relu between, of weights that follow from a seed."""
    draw = np.random.default_rng(seed)
    weights = [
        numpy_helper.from_array(draw.normal(size=shape).astype(np.float32), name)
        for name, shape in (("w", (4, 8)), ("v", (8, 3)))
    ]
    nodes = [
        ("MatMul", ["x", "w"], ["h"], {}),
        ("Relu", ["h"], ["r"], {}),
        ("MatMul", ["r", "v"], ["y"], {}),
    ]
    return tiny.save(path, nodes, [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 3])], weights)


@pytest.fixture
def made(tmp_path):
    """Build a file for TensorRT."""

    def make(path, tag="24.10", **wishes):
        said = {"accelerator": "tensorrt", "name": "net", "max_batch_size": 4, **wishes}
        spec = ModelSpec(source=str(path), target=release.find(tag), **said)
        return build(spec, Repository(tmp_path / "repo"))

    return make


def outputs(built):
    """Return the names of all values that nodes give, and those of the public ones."""
    model = onnx.load(built.entry.version_dir / "model.onnx")
    inner = {name for node in model.graph.node for name in node.output}
    public = [each.name for each in (*model.graph.input, *model.graph.output)]
    return inner - set(public), public


def test_other_weights_have_other_names_and_the_same_have_the_same(made, tmp_path):
    one = made(net(tmp_path / "a.onnx", 1))
    other = made(net(tmp_path / "b.onnx", 2))
    again = made(net(tmp_path / "c.onnx", 1))
    assert outputs(one)[0].isdisjoint({"h"})
    products = {name for name in outputs(one)[0] if name.startswith("h")}
    assert products.isdisjoint(outputs(other)[0])
    assert outputs(one) == outputs(again)
    assert outputs(one)[1] == outputs(other)[1] == ["x", "y"]
    assert one.manifest.signature == other.manifest.signature
    assert (one.version, other.version, again.version) == (1, 2, 3)


def test_names_survive_what_runs_before_tensorrt(made, tmp_path):
    built = made(net(tmp_path / "a.onnx", 1))
    model = graph.load(built.entry.version_dir / "model.onnx", weights=True)
    from tritonforge.graph.optimized import optimized

    left = {name for node in optimized(model).graph.node for name in node.output}
    assert any(".key_" in name for name in left)


@pytest.mark.parametrize(("tag", "bake"), [("24.10", True), ("26.06", False)])
def test_half_floats_have_names_of_their_weights(made, tmp_path, tag, bake):
    one, other = (
        made(net(tmp_path / f"{seed}.onnx", seed), tag, precision="fp16", bake=bake)
        for seed in (1, 2)
    )
    keyed = [{name for name in outputs(each)[0] if ".key_" in name} for each in (one, other)]
    assert {name.partition(".")[0] for name in keyed[0]} >= {"h"}
    assert keyed[0].isdisjoint(keyed[1])
    assert outputs(one)[1] == outputs(other)[1] == ["x", "y"]
    assert not any("empty the cache" in note for note in one.notes)


def test_a_build_for_another_provider_leaves_the_file_as_it_is(made, tmp_path):
    path = net(tmp_path / "a.onnx", 1)
    built = made(path, accelerator="cpu")
    assert (built.entry.version_dir / "model.onnx").read_bytes() == path.read_bytes()


def test_a_model_that_nothing_can_be_named_in_says_so(made, tmp_path):
    built = made(tiny.save(tmp_path / "double.onnx", *tiny.DOUBLE))
    assert any("empty the cache with each" in note for note in built.notes)


@pytest.mark.parametrize(
    ("tag", "wishes", "half"),
    [
        ("24.10", {"precision": "fp16"}, False),
        ("24.10", {"precision": "fp16", "bake": True}, True),
        ("26.06", {"precision": "fp16"}, True),
        ("26.06", {}, False),
        ("24.10", {"precision": "fp16", "bake": True, "accelerator": "cuda"}, True),
        ("24.10", {"precision": "fp16", "accelerator": "cuda"}, False),
        ("26.06", {"precision": "fp16", "accelerator": "cpu"}, False),
    ],
)
def test_half_floats_are_written_where_they_are_asked_for_or_else_without_effect(
    made, tmp_path, tag, wishes, half
):
    built = made(net(tmp_path / "a.onnx", 1), tag, **wishes)
    model = onnx.load(built.entry.version_dir / "model.onnx")
    kinds = {each.data_type for each in model.graph.initializer}
    assert (T.FLOAT16 in kinds) is half
    assert ("in half floats" in built.manifest.exporter) is half
    assert built.manifest.tolerance.half is half
    assert {each.type.tensor_type.elem_type for each in model.graph.input} == {T.FLOAT}
    if half:
        assert built.manifest.gate.outputs[0].rtol == 1e-2
        assert built.manifest.gate.outputs[0].max_abs > 0


def test_some_nodes_may_stay_in_float(made, tmp_path):
    path = net(tmp_path / "a.onnx", 1)
    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):
        node.name = f"node{number}"
    onnx.save(model, path)
    wish = {"precision": "fp16", "bake": True, "accelerator": "cpu"}
    built = made(path, keep_float=frozenset({"node2"}), **wish)
    model = onnx.load(built.entry.version_dir / "model.onnx")
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    assert T.FLOAT in kinds.values()
    assert T.FLOAT16 in kinds.values()
    with pytest.raises(SpecError, match="names 'nod2'") as caught:
        made(path, keep_float=frozenset({"nod2"}), **wish)
    assert "'node" in caught.value.hint


def test_half_floats_are_compared_as_such_when_they_are_served(made, tmp_path, embedded):
    del embedded
    built = made(net(tmp_path / "a.onnx", 1), precision="fp16", bake=True, accelerator="cpu")
    (report,) = parity.parity(
        Repository(tmp_path / "repo"), ("net",), parity.Wish(), rehearsed=print
    )
    assert report.passed
    assert built.manifest.gate.half


def test_int8_needs_something_that_quantizes(made, tmp_path):
    with pytest.raises(SpecError, match="the model has none") as caught:
        made(net(tmp_path / "a.onnx", 1), precision="int8")
    assert "quantize it first" in caught.value.hint
    table = {"int8_calibration_table_name": "table.flatbuffers"}
    assert made(net(tmp_path / "a.onnx", 1), precision="int8", tensorrt=table).version == 1
    with pytest.raises(SpecError, match="the model has none"):
        made(net(tmp_path / "a.onnx", 1), "26.06", precision="int8", tensorrt=table)


def test_a_precision_that_needs_nothing_of_the_file_changes_nothing():
    spec = ModelSpec(source="m.onnx", target=release.find("26.06"), precision="fp16")
    assert not finishing.is_baked(spec)
