"""What is said of weights in other files; that they are refused stands in `test_graph.py`."""

import graphs
import pytest
from graphs import node
from onnx import TensorProto

from tritonforge.graph import external, lean


def model(path, location, dims=(4, 8), **entry):
    """Write a model with a weight at a place."""
    held = TensorProto(name="W", data_type=1, dims=dims, data_location=1)
    for key, told in {"location": location, **entry}.items():
        held.external_data.add(key=key, value=str(told))
    return graphs.saved(path / "m.onnx", [node("Add", ["x", "W"], ["y"])], *graphs.ROW, [held])


def described(path):
    """Return what is said of the one file."""
    (found,) = external.externals(path, lean.read(path))
    return found


def test_a_sound_one_tells_what_is_needed_and_held(tmp_path):
    path = model(tmp_path, "sub/w.bin", offset=64, length=128)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(bytes(200))
    found = described(path)
    assert (found.location, found.tensors, found.needs, found.bytes) == ("sub/w.bin", 1, 192, 200)
    assert found.fault is None
    assert found.hint is None


def test_without_a_length_the_shape_tells_what_is_needed(tmp_path):
    path = model(tmp_path, "w.bin")
    (tmp_path / "w.bin").write_bytes(bytes(127))
    assert described(path).fault == "needs more weights than 'w.bin' holds: 128 bytes, not 127"


def test_a_length_unlike_the_shape_is_a_fault(tmp_path):
    path = model(tmp_path, "w.bin", length=120)
    (tmp_path / "w.bin").write_bytes(bytes(128))
    assert described(path).fault == "has 120 bytes for 'W', whose shape takes 128"


@pytest.mark.parametrize("entry", [{"offset": -1}, {"length": "many"}, {"offset": "0x10"}])
def test_numbers_that_are_none_are_a_fault(tmp_path, entry):
    path = model(tmp_path, "w.bin", **entry)
    (tmp_path / "w.bin").write_bytes(bytes(128))
    assert "says of 'W' that it begins at" in described(path).fault


@pytest.mark.parametrize("location", ["/etc/passwd", "../w.bin", "link.bin", "a\0b"])
def test_outside_the_folder_nothing_is_looked_at(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(128))
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    found = described(model(folder, location))
    assert "keeps weights outside its folder" in found.fault
    assert found.bytes is None


def test_a_loop_of_links_and_a_name_too_long_are_faults(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert described(model(tmp_path, "loop")).fault
    assert "which is missing" in described(model(tmp_path, "w" * 300)).fault
