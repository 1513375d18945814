"""Files read without their weights, and what is said of those that cannot be."""

import os
import subprocess
import sys

import graphs
import numpy as np
import onnx
import pytest
from graphs import constant, node, weight
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tritonforge.errors import GraphError
from tritonforge.graph import bounds, external, lean

MB = 2**20
ROWS = [("x", 1, ["n", 1000])], [("y", 1, ["n", 1000])]


def peak(path):
    """Inspect a file in a child and return the most memory that it held, in MB."""
    code = (
        "import resource, sys; from pathlib import Path; from tritonforge import graph\n"
        "graph.inspect(Path(sys.argv[1])); graph.outline(Path(sys.argv[1]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    return int(ended.stdout) / 1024


def with_a_hole(path, size):
    """Write a model with a weight of so many bytes in the file itself, which take no disk."""

    def field(number, length):
        return lean._written(number << 3 | 2) + lean._written(length)

    name = b"W"
    head = b"\x08" + lean._written(size // 4) + b"\x10\x01" + field(8, len(name)) + name
    head += field(9, size)
    empty = graphs.made([node("Add", ["x", "W"], ["y"])], *graphs.ROW)
    nodes = empty.graph.SerializeToString()
    empty.ClearField("graph")
    tensor = field(5, len(head) + size) + head
    start = empty.SerializeToString() + field(7, len(nodes) + len(tensor) + size) + nodes + tensor
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + size)
    return path


def test_the_values_of_large_weights_are_left_out_wherever_they_are(tmp_path):
    large = weight("W", 1000)
    branch = helper.make_graph(
        [node("Constant", [], ["c"], value=large), node("Add", ["c", "V"], ["t"])],
        "branch",
        [],
        [graphs.value("t", 1, [1000])],
        initializer=[weight("V", 1000)],
    )
    nodes = [
        node("If", ["b"], ["i"], then_branch=branch, else_branch=branch),
        node("Sum", ["x", "W", "i", "small"], ["y"]),
    ]
    typed = weight("typed", 1000)
    typed.float_data.extend(numpy_helper.to_array(typed))
    typed.ClearField("raw_data")
    weights = [large, typed, constant("small", 1, np.float32), constant("b", True, bool)]
    path = graphs.saved(tmp_path / "m.onnx", nodes, *ROWS, weights)
    model, whole = lean.read(path), onnx.load(path)
    assert len(model.SerializeToString()) < 2000
    for thin, full in zip(external.tensors(model), external.tensors(whole), strict=True):
        assert (thin.name, thin.dims, thin.data_type) == (full.name, full.dims, full.data_type)
        if len(full.SerializeToString()) < 1024:
            assert thin == full
        else:
            assert not thin.raw_data
            assert not thin.float_data


def test_without_large_weights_a_file_is_read_as_it_is(tmp_path):
    path = graphs.saved(tmp_path / "m.onnx", [node("Add", ["x", "x"], ["y"])], *graphs.ROW)
    assert lean.read(path) == onnx.load(path)


@given(st.integers(0, 2**63))
def test_numbers_are_read_as_written(value):
    written = lean._written(value)
    assert bounds.varint(memoryview(written), 0, len(written)) == (value, len(written))


def test_two_gigabytes_in_the_file_take_no_memory(tmp_path):
    small = peak(graphs.saved(tmp_path / "s.onnx", [node("Relu", ["x"], ["y"])], *graphs.ROW))
    path = with_a_hole(tmp_path / "m.onnx", 1900 * MB)
    assert lean.read(path).graph.initializer[0].dims == [1900 * MB // 4]
    assert peak(path) < small + 50


def test_three_gigabytes_beside_the_file_take_no_memory(tmp_path):
    small = peak(graphs.saved(tmp_path / "s.onnx", [node("Relu", ["x"], ["y"])], *graphs.ROW))
    held = TensorProto(name="W", data_type=1, dims=[3 * 2**28, 1], data_location=1)
    held.external_data.add(key="location", value="w.bin")
    path = graphs.saved(tmp_path / "m.onnx", [node("Add", ["x", "W"], ["y"])], *graphs.ROW, [held])
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(3 * 2**30)
    assert external.external_files(path) == ("w.bin",)
    assert peak(path) < small + 50


@pytest.mark.parametrize(
    ("content", "error", "hint"),
    [
        (b"", "is empty", "download it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS", "git lfs pull"),
        (b"<html><body>404</body></html>", "is a page of HTML", "download it again"),
        (b"\xff" * 99, "not a sound ONNX file: it breaks off at byte 10", "truncated"),
        (b"\x08\x08", "is not an ONNX model", "truncated"),
        (b"\x3a\x02\xff\xff", "not a sound ONNX file", "truncated"),
    ],
    ids=["empty", "lfs", "html", "noise", "no graph", "no message"],
)
def test_what_is_no_model_is_told(tmp_path, content, error, hint):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(GraphError, match=error) as caught:
        lean.read(path)
    assert hint in caught.value.hint


def test_a_file_that_was_cut_tells_how_much_is_missing(tmp_path):
    path = graphs.saved(
        tmp_path / "m.onnx", [node("Add", ["x", "W"], ["y"])], *ROWS, [weight("W", 1000)]
    )
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(GraphError, match=r"at least \d+ bytes of it are missing"):
        lean.read(path)


def test_a_file_that_was_cut_behind_large_weights_is_told_too(tmp_path):
    path = graphs.saved(
        tmp_path / "m.onnx", [node("Add", ["x", "W"], ["y"])], *ROWS, [weight("W", 1000)]
    )
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(GraphError, match=r"at least \d+ bytes of it are missing"):
        lean.read(path)


def test_graphs_nested_without_end_are_refused(tmp_path):
    data = b"\x0a\x00" * 600
    for _ in range(2000):  # a graph in an attribute in a node
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            data = tag + lean._written(len(data)) + data
    (tmp_path / "m.onnx").write_bytes(b"\x3a" + lean._written(len(data)) + data)
    with pytest.raises(GraphError, match="not a sound ONNX file"):
        lean.read(tmp_path / "m.onnx")


def test_a_wrong_path_names_what_is_near(tmp_path):
    graphs.saved(tmp_path / "resnet50.onnx", [node("Relu", ["x"], ["y"])], *graphs.ROW)
    with pytest.raises(GraphError, match="no file") as caught:
        lean.read(tmp_path / "resnet5.onnx")
    assert caught.value.hint == f"did you mean '{tmp_path}/resnet50.onnx'?"
    with pytest.raises(GraphError, match="is a folder") as caught:
        lean.read(tmp_path)
    assert caught.value.hint == "it holds resnet50.onnx"
    with pytest.raises(GraphError, match="no file"):
        lean.read(tmp_path / "nowhere" / "m.onnx")


def test_a_fifo_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "m.onnx")
    with pytest.raises(GraphError, match="is no regular file"):
        lean.read(tmp_path / "m.onnx")


@pytest.mark.parametrize("where", ["nowhere.onnx", "m.onnx"])
def test_a_link_that_leads_nowhere_is_told(tmp_path, where):
    (tmp_path / "m.onnx").symlink_to(where)
    with pytest.raises(GraphError, match=f"is a link that leads to no file: {where}"):
        lean.read(tmp_path / "m.onnx")


def test_a_model_that_does_not_say_its_opset_is_told(tmp_path):
    model = graphs.heads()
    del model.opset_import[:]
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(GraphError, match="does not say of which opset it is"):
        lean.read(tmp_path / "m.onnx")
