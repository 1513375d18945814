"""Weights in one file beside a model: what goes out, where it lies, and that nothing is lost."""

import resource
import subprocess
import sys

import graphs
import numpy as np
import onnx
import pytest
from graphs import constant, node, weight
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from tritonforge import graph
from tritonforge.errors import GraphError
from tritonforge.graph import external, lean

LARGE = (64, 64)  # 16 KiB of floats
ROWS = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)
PORTS = [("x", T.FLOAT, ["n", 64])], [("y", T.FLOAT, ["n", 64])]


def drawn(name, *dims, seed=0, dtype=np.float32):
    """Make a weight of numbers of a seed."""
    return numpy_helper.from_array(
        np.random.default_rng(seed).normal(size=dims).astype(dtype), name
    )


def product(*weights):
    """Make a model that multiplies by each weight in turn."""
    names = ["x", *(f"h{index}" for index in range(1, len(weights))), "y"]
    nodes = [
        node("MatMul", [names[index], each.name], [names[index + 1]])
        for index, each in enumerate(weights)
    ]
    return graphs.made(nodes, *PORTS, weights)


def entries(path):
    """Return what the file says of each tensor beside it, by name."""
    model = onnx.load(path, load_external_data=False)
    return {
        each.name: {one.key: one.value for one in each.external_data}
        for each in external.tensors(model)
        if external.is_external(each)
    }


def run(path):
    """Run a file on the same rows."""
    with graph.session(path) as found:
        return found({"x": ROWS})["y"]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "model.onnx"


def scattered(folder, model, **more):
    """Save a model with weights beside it as onnx does."""
    folder.mkdir(exist_ok=True)
    onnx.save(model, folder / "given.onnx", save_as_external_data=True, **more)
    return folder / "given.onnx"


def taken(source, path, **more):
    """Read a file without its weights and write it elsewhere."""
    graph.write(graph.load(source), path, base=source.parent, **more)
    return path


# --- what goes out --------------------------------------------------------------------------------


def test_large_weights_go_out_and_small_ones_stay(path):
    model = product(drawn("A", *LARGE), drawn("B", *LARGE, seed=1))
    model.graph.initializer.append(constant("shape", [2, 3]))
    model.graph.initializer.append(weight("edge", 256))  # 1 KiB
    graph.write(model, path, beside=True)
    assert entries(path) == {
        "A": {"location": "model.onnx.data", "offset": "0", "length": "16384"},
        "B": {"location": "model.onnx.data", "offset": "16384", "length": "16384"},
    }
    assert [each.name for each in sorted(path.parent.iterdir())] == [
        "model.onnx",
        "model.onnx.data",
    ]
    onnx.checker.check_model(path, full_check=True)


def test_all_stay_inside_where_it_is_not_asked_for(path):
    graph.write(product(drawn("A", *LARGE)), path)
    assert entries(path) == {}
    assert not graph.has_data(path)


def test_what_is_small_needs_no_file(path):
    model = graphs.made([node("Add", ["x", "b"], ["y"])], *PORTS, [weight("b", 64)])
    graph.write(model, path, beside=True)
    assert not graph.has_data(path)
    assert run(path).shape == (2, 64)


def test_the_numbers_are_the_same(path, tmp_path):
    model = product(drawn("A", *LARGE), drawn("B", *LARGE, seed=1))
    onnx.save(model, tmp_path / "whole.onnx")
    graph.write(model, path, beside=True)
    np.testing.assert_array_equal(run(path), run(tmp_path / "whole.onnx"))


def test_large_ones_begin_at_pages_and_others_at_lines(path):
    odd = numpy_helper.from_array(np.ones(1025, np.int8), "odd")
    model = product(drawn("A", *LARGE))
    model.graph.initializer.insert(0, odd)
    model.graph.initializer.append(weight("page", 1 << 18))  # 1 MiB
    graph.write(model, path, beside=True)
    offsets = {name: int(each["offset"]) for name, each in entries(path).items()}
    assert offsets == {"odd": 0, "A": 1088, "page": 65536}


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=8), st.booleans())
def test_whatever_goes_out_comes_back(tmp_path_factory, sizes, first):
    """Any sizes, in either of a tensor's forms, there and back by way of a second file."""
    folder = tmp_path_factory.mktemp("there")
    arrays = {
        f"w{index}": np.random.default_rng(index).integers(0, 255, size).astype(np.uint8)
        for index, size in enumerate(sizes)
    }
    weights = [
        numpy_helper.from_array(array, name)
        if first
        else helper.make_tensor(name, T.UINT8, array.shape, array)
        for name, array in arrays.items()
    ]
    model = graphs.made([node("Relu", ["x"], ["y"])], *PORTS, weights)
    graph.write(model, folder / "a.onnx", beside=True)
    (folder / "b").mkdir()
    taken(folder / "a.onnx", folder / "b" / "m.onnx", beside=True)
    taken(folder / "b" / "m.onnx", folder / "c.onnx", beside=False)
    for each in (folder / "b" / "m.onnx", folder / "c.onnx"):
        found = {one.name: numpy_helper.to_array(one) for one in onnx.load(each).graph.initializer}
        assert found.keys() == arrays.keys()
        assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert entries(folder / "c.onnx") == {}


@pytest.mark.parametrize(
    "tensor",
    [
        helper.make_tensor("W", T.FLOAT16, [1024], np.ones(1024, np.float16)),
        helper.make_tensor("W", T.BFLOAT16, [1024], np.ones(1024, np.float32)),
        helper.make_tensor("W", T.INT4, [4001], [3] * 4001),
        helper.make_tensor("W", T.BOOL, [2000], [True] * 2000),
        helper.make_tensor("W", T.DOUBLE, [200], [0.5] * 200),
        helper.make_tensor("W", T.FLOAT8E4M3FN, [2000], [1.0] * 2000),
        helper.make_tensor("W", T.COMPLEX64, [200], [1 + 2j] * 200),
    ],
    ids=lambda each: T.DataType.Name(each.data_type),
)
def test_every_form_of_values_goes_out(path, tensor):
    wanted = numpy_helper.to_array(tensor)
    graph.write(graphs.made([node("Relu", ["x"], ["y"])], *PORTS, [tensor]), path, beside=True)
    assert "W" in entries(path)
    (found,) = onnx.load(path).graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(found), wanted)


def test_texts_and_what_is_sparse_stay_inside(path):
    texts = helper.make_tensor("t", T.STRING, [500], [b"text"] * 500)
    values = numpy_helper.from_array(np.ones(500, np.float32), "s")
    sparse = helper.make_sparse_tensor(values, constant("", np.arange(500)), [64, 64])
    model = graphs.made([node("MatMul", ["x", "s"], ["y"])], *PORTS, [texts])
    model.graph.sparse_initializer.append(sparse)
    graph.write(model, path, beside=True)
    assert entries(path) == {}


def test_constants_and_weights_of_branches_go_out_and_run(path):
    def branch(name):
        inner = numpy_helper.from_array(np.full(LARGE, 3, np.float32), f"S{name}")
        made = [graphs.value(name, T.FLOAT, None)]
        return helper.make_graph(
            [node("MatMul", ["h", inner.name], [name])], name, [], made, [inner]
        )

    nodes = [
        node("Constant", [], ["C"], value=drawn("", *LARGE)),
        node("MatMul", ["x", "C"], ["h"]),
        node("ReduceMax", ["x"], ["most"], keepdims=0),
        node("Greater", ["most", "zero"], ["is"]),
        node("If", ["is"], ["y"], then_branch=branch("t"), else_branch=branch("e")),
    ]
    model = graphs.made(nodes, *PORTS, [constant("zero", 0, np.float32)])
    whole = path.with_name("whole.onnx")
    onnx.save(model, whole)
    graph.write(model, path, beside=True)
    assert entries(path).keys() == {"", "Se", "St"}
    np.testing.assert_array_equal(run(path), run(whole))
    with graph.session(path, extra_outputs=("is",)) as watched:
        assert watched({"x": ROWS})["is"]


def test_a_newer_file_is_opened_as_an_older_one(path):
    model = product(drawn("A", *LARGE))
    model.ir_version = 10
    graph.write(model, path, beside=True)
    with graph.session(path, ir=8) as found:
        np.testing.assert_array_equal(found({"x": ROWS})["y"], run(path))


# --- from other files -----------------------------------------------------------------------------


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize(
    "form",
    [
        {"location": "w.bin", "size_threshold": 0},
        {"all_tensors_to_one_file": False, "size_threshold": 0},
        {"location": "w.bin", "size_threshold": 0, "convert_attribute": True},
        {"location": "sub/w.bin", "size_threshold": 4096},
    ],
)
def test_what_lies_in_one_file_or_many_is_taken_whole(tmp_path, path, form, beside):
    model = product(drawn("A", *LARGE), drawn("B", *LARGE, seed=1), drawn("C", *LARGE, seed=2))
    model.graph.node.insert(0, node("Constant", [], ["shape"], value=constant("", [-1, 64])))
    model.graph.node.insert(1, node("Reshape", ["x", "shape"], ["r"]))
    model.graph.node[2].input[0] = "r"
    onnx.save(model, tmp_path / "whole.onnx")
    (tmp_path / "in" / "sub").mkdir(parents=True)
    source = scattered(tmp_path / "in", model, **form)
    taken(source, path, beside=beside)
    files = {each.name for each in path.parent.iterdir()}
    assert files == {"model.onnx", "model.onnx.data"} if beside else {"model.onnx"}
    assert {each["location"] for each in entries(path).values()} == (
        {"model.onnx.data"} if beside else set()
    )
    np.testing.assert_array_equal(run(path), run(tmp_path / "whole.onnx"))


def test_weights_that_are_one_in_the_file_stay_one(tmp_path, path):
    model = product(drawn("A", *LARGE), drawn("B", *LARGE))
    source = scattered(tmp_path / "in", model, location="w.bin", size_threshold=0)
    raw = graph.load(source)
    for each in raw.graph.initializer:
        next(one for one in each.external_data if one.key == "offset").value = "0"
    source.write_bytes(raw.SerializeToString())
    taken(source, path, beside=True)
    assert graph.data_of(path).stat().st_size == 64 * 64 * 4
    np.testing.assert_array_equal(run(path), run(source))


def test_regions_that_overlap_are_taken_as_they_are_said(tmp_path, path):
    model = product(drawn("A", *LARGE), drawn("B", *LARGE))
    source = scattered(tmp_path / "in", model, location="w.bin", size_threshold=0)
    raw = graph.load(source)
    raw.graph.initializer[1].external_data[1].value = "256"
    source.write_bytes(raw.SerializeToString())
    taken(source, path, beside=True)
    np.testing.assert_array_equal(run(path), run(source))


def test_a_part_that_ends_meanwhile_is_told_and_nothing_is_left(tmp_path, path):
    source = scattered(tmp_path / "in", product(drawn("A", *LARGE)), location="w.bin")
    model = graph.load(source)
    (source.parent / "w.bin").write_bytes(bytes(100))
    with pytest.raises(GraphError, match="ends 16284 bytes before 'A' does"):
        graph.write(model, path, beside=True, base=source.parent)
    (source.parent / "w.bin").unlink()
    with pytest.raises(GraphError, match=r"cannot read .*w\.bin: No such file"):
        graph.write(model, path, beside=True, base=source.parent)
    assert not [*path.parent.iterdir()]


# --- changed, moved, replaced ---------------------------------------------------------------------


def test_a_change_of_the_graph_leaves_the_weights_where_they_are(path):
    graph.write(product(drawn("A", *LARGE)), path, beside=True)
    before = graph.data_of(path).stat()
    model = graph.load(path)
    model.doc_string = "changed"
    graph.write(model, path)
    after = graph.data_of(path).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert graph.load(path).doc_string == "changed"


def test_a_new_weight_joins_those_that_lie_there(path):
    graph.write(product(drawn("A", *LARGE)), path, beside=True)
    model = graph.load(path)
    model.graph.initializer.append(drawn("B", *LARGE, seed=1))
    graph.write(model, path)
    assert entries(path).keys() == {"A", "B"}
    assert np.isfinite(run(path)).all()


def test_a_model_inside_one_file_takes_the_place_of_one_beside(path):
    graph.write(product(drawn("A", *LARGE)), path, beside=True)
    graph.write(product(drawn("A", *LARGE)), path, beside=False)
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize("name", ["model.onnx", "net.onnx"])
def test_a_model_moves_with_its_weights(tmp_path, path, name):
    graph.write(product(drawn("A", *LARGE)), path, beside=True)
    wanted, target = run(path), tmp_path / "there" / name
    target.parent.mkdir()
    graph.move(path, target)
    assert not [*path.parent.iterdir()]
    assert {each.name for each in target.parent.iterdir()} == {name, f"{name}.data"}
    np.testing.assert_array_equal(run(target), wanted)
    graph.write(product(drawn("A", *LARGE)), path)
    graph.move(path, target)
    assert [*target.parent.iterdir()] == [target]


def test_a_key_does_not_depend_on_where_the_weights_lie(path):
    model = product(drawn("A", *LARGE))
    known = graph.key(model)
    graph.write(model, path, beside=True)
    assert graph.key(graph.load(path), path.parent) == known
    with pytest.raises(GraphError, match="the weights of 'A' were not read"):
        graph.key(graph.load(path))


def test_the_lean_reading_of_it_is_whole(path):
    graph.write(product(drawn("A", *LARGE)), path, beside=True)
    (found,) = external.externals(path, lean.read(path))
    assert (found.location, found.needs, found.fault) == ("model.onnx.data", 16384, None)


# --- what is too large, or has no room ------------------------------------------------------------


def claims(folder, count):
    """Save a model of weights of 1 GiB each in one file without any content on the disk."""
    held = [helper.make_tensor(f"W{index}", T.INT8, [0], b"", raw=True) for index in range(count)]
    for index, each in enumerate(held):
        each.ClearField("raw_data")
        each.dims[:] = [1 << 30]
        each.data_location = T.EXTERNAL
        for key, value in (("location", "w.bin"), ("offset", index << 30), ("length", 1 << 30)):
            each.external_data.add(key=key, value=str(value))
    folder.mkdir()
    with (folder / "w.bin").open("wb") as file:
        file.truncate(count << 30)
    return graphs.saved(folder / "m.onnx", [node("Relu", ["x"], ["y"])], *PORTS, held)


def test_more_than_one_file_holds_is_refused_unread(tmp_path, path):
    source = claims(tmp_path / "in", 2)
    with pytest.raises(GraphError, match=r"model\.onnx would be over 2 GiB") as caught:
        taken(source, path, beside=False)
    assert caught.value.hint == "leave --no-external-data out"
    assert not [*path.parent.iterdir()]


WRITE = """
import resource, sys
from pathlib import Path
from tritonforge import graph
source, path = map(Path, sys.argv[1:])
model = graph.load(source)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
graph.write(model, path, base=source.parent)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_above_two_gib_weights_go_out_by_themselves_without_being_held(tmp_path, path):
    source = claims(tmp_path / "in", 2)
    ended = subprocess.run(
        [sys.executable, "-c", WRITE, str(source), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert entries(path)["W1"] == {
        "location": "model.onnx.data",
        "offset": str(1 << 30),
        "length": str(1 << 30),
    }
    assert graph.data_of(path).stat().st_size == 2 << 30
    assert int(ended.stdout) < 100 * 1024  # KiB


def test_a_disk_that_is_full_is_told_and_nothing_is_left(tmp_path, path):
    source = scattered(tmp_path / "in", product(drawn("A", *LARGE)), location="w.bin")

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    ended = subprocess.run(
        [sys.executable, "-c", WRITE.replace("base=", "beside=True, base="), source, path],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited,
    )
    assert f"cannot write {path}.data: File too large" in ended.stderr
    assert not [*path.parent.iterdir()]
