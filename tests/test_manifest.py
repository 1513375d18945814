import hashlib
import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tritonforge import gate, manifest
from tritonforge.errors import RepositoryError, SpecError
from tritonforge.manifest import GOLDEN, MANIFEST, Manifest
from tritonforge.spec import Domain, Range, Tolerance
from tritonforge.stamp import Stamp
from tritonforge.tensors import DType, Signature, TensorSpec

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DIMS = st.lists(st.integers(0, 2**40) | TEXT, max_size=4).map(tuple)
TENSORS = st.lists(
    st.builds(TensorSpec, name=TEXT, dtype=st.sampled_from(DType), dims=DIMS), max_size=3
).map(tuple)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**40)
DOMAINS = st.builds(
    lambda kind, low, more: Domain(kind=kind, low=low, high=low + more),
    st.sampled_from(["normal", "uniform", "integers", "mask"]),
    st.integers(-9, 9) | st.floats(-9, 9),
    st.integers(1, 9) | st.floats(1, 9),
)
RANGES = st.builds(
    lambda low, more: Range(low=low, high=None if more is None else low + more),
    st.integers(1, 9),
    st.none() | COUNTS,
)
WORSTS = st.builds(
    gate.Worst, sample=COUNTS, index=st.lists(COUNTS).map(tuple), want=TEXT, got=TEXT
)
OUTPUTS = st.builds(
    gate.OutputReport,
    name=TEXT,
    dtype=TEXT,
    atol=FINITE,
    rtol=FINITE,
    elements=COUNTS,
    mismatched=COUNTS,
    max_abs=FINITE,
    needed_atol=FINITE,
    top1=st.none() | FINITE,
    flips=st.none() | COUNTS,
    worst=st.none() | WORSTS,
)
STAMPS = st.dictionaries(
    TEXT, st.builds(Stamp, sha256=TEXT, size=COUNTS, changed=COUNTS), max_size=3
)
MANIFESTS = st.builds(
    Manifest,
    source=TEXT,
    weights=TEXT,
    weights_origin=TEXT,
    weights_sha256=st.none() | TEXT,
    seed=COUNTS,
    sample_seed=COUNTS,
    created=TEXT,
    target=TEXT,
    exporter=TEXT,
    opset=COUNTS,
    ir=COUNTS,
    max_batch_size=COUNTS,
    reference=TEXT,
    config=TEXT,
    versions=st.dictionaries(TEXT, TEXT),
    signature=st.builds(Signature, inputs=TENSORS, outputs=TENSORS),
    domains=st.dictionaries(TEXT, DOMAINS, max_size=3),
    ranges=st.dictionaries(TEXT, RANGES, max_size=3),
    tolerance=st.builds(
        Tolerance,
        atol=st.none() | st.floats(0, 9),
        rtol=st.none() | st.floats(0, 9),
    ),
    gate=st.builds(
        gate.GateReport, samples=COUNTS, outputs=st.lists(OUTPUTS, max_size=2).map(tuple)
    ),
    files=STAMPS,
    read=STAMPS,
    beside=STAMPS,
    inputs=TEXT,
    accelerator=TEXT,
    input_specs=st.lists(TEXT, max_size=3).map(tuple),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all examples of a property, which overwrite each other's file."""
    return tmp_path_factory.mktemp("version")


def plain(**changes):
    """Return some manifest."""
    x = TensorSpec(name="x", dtype=DType.FP32, dims=("batch", 3))
    some = Manifest(
        loaded_by="1.19.2",
        source="m.onnx",
        weights="default",
        weights_origin="file m.onnx",
        weights_sha256=None,
        seed=0,
        sample_seed=0,
        created="2024-01-01T00:00:00+00:00",
        target="24.10",
        exporter="as given",
        opset=17,
        ir=8,
        max_batch_size=16,
        reference="onnx",
        config='name: "m"\n',
        versions={},
        signature=Signature(inputs=(x,), outputs=(x,)),
        domains={"x": Domain(kind="normal")},
        ranges={"batch": Range(high=16)},
        tolerance=Tolerance(),
        gate=gate.GateReport(samples=1, outputs=()),
    )
    return replace(some, **changes)


def damage(folder, change):
    """Write a manifest, change its JSON, and return the text of the error it makes."""
    manifest.write(plain(), folder)
    document = json.loads((folder / MANIFEST).read_text())
    change(document)
    (folder / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(RepositoryError) as caught:
        manifest.read(folder)
    assert "build" in caught.value.hint
    return str(caught.value)


@given(MANIFESTS)
def test_a_manifest_is_read_as_it_was_written(folder, written):
    manifest.write(written, folder)
    assert manifest.read(folder) == written


def test_a_real_gate_report_is_kept(tmp_path):
    want = {"y": np.float32([[1, 2], [3, 4]]), "n": np.int64([1])}
    got = {"y": np.float32([[1, 2], [3, 4.0001]]), "n": np.int64([1])}
    report = gate.compare([(want, got)], Tolerance())
    manifest.write(plain(gate=report), tmp_path)
    assert manifest.read(tmp_path).gate == report


def test_the_file_is_for_people_too(tmp_path):
    manifest.write(plain(), tmp_path)
    text = (tmp_path / MANIFEST).read_text()
    assert text.startswith('{\n  "format": 1,\n  "source": "m.onnx",')
    assert text.endswith("}\n")
    assert json.loads(text)["signature"]["inputs"] == [
        {"name": "x", "dtype": "FP32", "dims": ["batch", 3]}
    ]


def test_a_version_without_a_manifest_has_none(tmp_path):
    assert manifest.read(tmp_path) is None


def test_what_a_newer_tritonforge_adds_is_left_out(tmp_path):
    manifest.write(plain(), tmp_path)
    document = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**document, "invented": 1}))
    assert manifest.read(tmp_path) == plain()


def test_another_format_is_told(tmp_path):
    said = damage(tmp_path, lambda document: document.update(format=2))
    assert said.endswith("manifest.json has format 2, this tritonforge reads 1")


@pytest.mark.parametrize("key", ["format", "source", "signature", "gate", "ranges"])
def test_a_missing_part_is_told(tmp_path, key):
    said = damage(tmp_path, lambda document: document.pop(key))
    assert "manifest.json is damaged" in said
    assert key in said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("signature", None),
        ("signature", {"inputs": [1], "outputs": []}),
        ("domains", {"x": 3}),
        ("domains", []),
        ("ranges", {"x": {"wide": 1}}),
        ("gate", {"samples": 1, "outputs": [{}]}),
        ("tolerance", None),
    ],
)
def test_a_part_of_another_form_is_told(tmp_path, key, value):
    assert "is damaged" in damage(tmp_path, lambda document: document.update({key: value}))


def test_impossible_values_are_told_as_what_they_are(tmp_path):
    manifest.write(plain(), tmp_path)
    document = json.loads((tmp_path / MANIFEST).read_text())
    document["ranges"] = {"n": {"low": 5, "high": 1}}
    (tmp_path / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(SpecError, match=r"5\.\.1 is empty"):
        manifest.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"', b"{}"])
def test_a_file_that_is_no_manifest_is_told(tmp_path, content):
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(RepositoryError, match=r"manifest\.json is damaged") as caught:
        manifest.read(tmp_path)
    assert "build the version again" in caught.value.hint


def test_what_is_no_file_is_told(tmp_path):
    os.mkfifo(tmp_path / MANIFEST)
    with pytest.raises(RepositoryError, match=r"manifest\.json is no regular file") as caught:
        manifest.read(tmp_path)
    assert "build the version again" in caught.value.hint
    (tmp_path / MANIFEST).unlink()
    (tmp_path / MANIFEST).symlink_to("gone")
    with pytest.raises(RepositoryError, match="leads to no file: gone"):
        manifest.read(tmp_path)


@given(st.binary(max_size=64))
def test_no_bytes_at_all_break_the_reader(folder, content):
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(RepositoryError):
        manifest.read(folder)


def test_hashes_cover_every_file_but_the_manifest(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "part").write_bytes(b"")
    manifest.write(plain(), tmp_path)
    assert {name: stamp.sha256 for name, stamp in manifest.stamps(tmp_path).items()} == {
        "inner/part": hashlib.sha256(b"").hexdigest(),
        "model.onnx": hashlib.sha256(b"weights").hexdigest(),
    }


ARRAYS = st.sampled_from([each for each in DType if each is not DType.BYTES]).flatmap(
    lambda dtype: hnp.arrays(dtype.numpy, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
)
STRINGS = hnp.arrays(
    np.dtype("O"),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    elements=st.binary(max_size=6) | TEXT,
    fill=st.nothing(),
)
NAMES = TEXT.filter(lambda name: name and "\0" not in name)


@given(
    st.dictionaries(NAMES, ARRAYS | STRINGS, max_size=3), st.dictionaries(NAMES, ARRAYS, max_size=2)
)
def test_a_golden_sample_is_read_as_it_was_written(folder, inputs, outputs):
    manifest.write_golden(folder, inputs, outputs)
    for written, read in zip((inputs, outputs), manifest.read_golden(folder), strict=True):
        assert list(read) == list(written)
        for name, array in written.items():
            assert read[name].shape == array.shape
            assert read[name].dtype == array.dtype
            wanted = [item.encode() if isinstance(item, str) else item for item in array.flat]
            np.testing.assert_array_equal(list(read[name].flat), wanted)


def test_strings_come_back_as_bytes(tmp_path):
    strings = np.array([b"plain", "äöü", b"\xff\x00", b"end\0", ""], dtype=object)
    manifest.write_golden(tmp_path, {"s": strings}, {"s": np.array(["a\0", "b"])})
    inputs, outputs = manifest.read_golden(tmp_path)
    assert inputs["s"].tolist() == [b"plain", "äöü".encode(), b"\xff\x00", b"end\0", b""]
    assert outputs["s"].tolist() == [b"a", b"b"]  # numpy drops the zeros at an end, before us


def test_nothing_in_a_golden_sample_is_pickled(tmp_path):
    manifest.write_golden(tmp_path, {"s": np.array([b"a"], dtype=object)}, {})
    with np.load(tmp_path / GOLDEN, allow_pickle=False) as stored:
        assert [stored[name].dtype.kind for name in stored.files] == ["U"]


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-30])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[100:200] = bytes(100)
    path.write_bytes(content)


def _pickled(path):
    np.savez(path, **{"in:x": np.array([{}], dtype=object)})


def _one_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def _foreign(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no arrays")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 and no more"),
        lambda path: path.write_bytes(b"text"),
        _truncate,
        _flip,
        _pickled,
        _one_array,
        _foreign,
    ],
)
def test_a_golden_sample_that_cannot_be_read_is_told(tmp_path, change):
    manifest.write_golden(tmp_path, {"x": np.ones(99)}, {"y": np.ones(99)})
    change(tmp_path / GOLDEN)
    with pytest.raises(RepositoryError, match=r"golden\.npz cannot be read") as caught:
        manifest.read_golden(tmp_path)
    assert "pickle" not in caught.value.message
    assert caught.value.hint == "build the version again"
