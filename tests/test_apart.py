"""Builds of models whose weights lie beside them, from end to end: published together or not."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import graphs
import nets
import numpy as np
import onnx
import pytest
import tiny
from onnx import TensorProto as T
from onnx import numpy_helper

from tritonforge import graph, manifest, release
from tritonforge.build import build
from tritonforge.errors import GateError, GraphError
from tritonforge.parity import Wish, parity
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec
from tritonforge.stamp import sha256

FACTORIES = """
import warnings

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 8)
        self.register_buffer("table", torch.randn(300))

    def forward(self, x):
        return self.two(torch.relu(self.one(x))) + self.table.sum()


def net():
    torch.manual_seed(0)
    return Net(), (torch.randn(2, 64),)


def scripted():
    module, inputs = net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.script(module.eval()), inputs


class Rough(Net):
    def forward(self, x):
        return super().forward(x) + torch.sin(self.one(x) * 1e5).sum(1, keepdim=True)


def rough():
    torch.manual_seed(0)
    return Rough(), (torch.randn(2, 64),)


class Wrong(Net):
    def forward(self, x):
        if torch.onnx.is_in_onnx_export() or torch.compiler.is_exporting():
            x = x + 1
        return super().forward(x)


def wrong():
    return Wrong(), (torch.randn(2, 64),)
"""
FILES = ["golden.npz", "manifest.json", "model.onnx", "model.onnx.data"]


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "models")


@pytest.fixture
def spec(tmp_path):
    """Return a maker of specs of the factories above, weights beside the model."""
    source = tmp_path / "made.py"
    source.write_text(FACTORIES, "utf-8")

    def make(factory="net", **wishes):
        said = {"name": "net", "external_data": True, "target": release.find("24.10"), **wishes}
        return ModelSpec(source=factory if "." in factory else f"{source}:{factory}", **said)

    return make


def files(built):
    return sorted(each.name for each in built.entry.version_dir.iterdir())


def left(repository):
    """Name what a failed build left behind, beside or in the repository."""
    return [
        each
        for each in (*repository.path.parent.glob(".*"), *repository.path.rglob("*"))
        if each.name != ".tritonforge.lock"
    ]


def given(folder, **entries):
    """Save a model of one large weight in a file beside it."""
    folder.mkdir()
    values = np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    nodes = [("MatMul", ["x", "w"], ["y"], {})]
    path = tiny.save(
        folder / "given.onnx",
        nodes,
        [("x", T.FLOAT, ["n", 64])],
        [("y", T.FLOAT, ["n", 64])],
        [numpy_helper.from_array(values, "w")],
    )
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin")
    model = onnx.load(path, load_external_data=False)
    (weight,) = model.graph.initializer
    for each in weight.external_data:
        each.value = str(entries.get(each.key, each.value))
    path.write_bytes(model.SerializeToString())
    return path


# --- modules --------------------------------------------------------------------------------------


@pytest.mark.parametrize("exporter", ["auto", "torchscript"])
def test_both_files_are_published_together_and_known_again(repository, spec, exporter):
    built = build(spec(exporter=exporter), repository)
    folder = built.entry.version_dir
    assert files(built) == FILES
    assert graph.external_files(folder / "model.onnx") == ("model.onnx.data",)
    record = manifest.read(folder)
    assert record.files["model.onnx.data"].sha256 == sha256(folder / "model.onnx.data")
    assert record.gate.passed
    assert build(spec(exporter=exporter), repository).unchanged
    data = folder / "model.onnx.data"
    data.write_bytes(data.read_bytes()[:-4] + bytes(4))
    assert manifest.altered(record, folder) == ("model.onnx.data",)
    assert build(spec(exporter=exporter), repository).version == 2


def test_it_is_what_a_build_into_one_file_is(repository, spec):
    apart, whole = (
        build(spec(name=name, external_data=external), repository)
        for name, external in (("apart", True), ("whole", None))
    )
    assert files(whole) == FILES[:-1]
    assert apart.manifest.signature == whole.manifest.signature
    assert apart.manifest.gate == whole.manifest.gate
    assert apart.max_batch_size == whole.max_batch_size
    golden = [manifest.read_golden(each.entry.version_dir) for each in (apart, whole)]
    np.testing.assert_array_equal(*(outputs["output"] for _, outputs in golden))
    assert not build(spec(name="whole"), repository).unchanged


def test_a_scripted_module_and_one_of_another_opset(repository, spec):
    assert files(build(spec("scripted"), repository)) == FILES
    built = build(spec(opset=15), repository)
    assert built.manifest.opset == 15
    assert files(built) == FILES


def test_both_sides_of_a_scripted_if(repository, spec):
    plain, apart = (
        build(spec(f"{Path(nets.__file__)}:scripted", name="s", external_data=each), repository)
        for each in (None, True)
    )
    assert apart.notes == plain.notes
    assert apart.manifest.gate == plain.manifest.gate


def test_a_rough_model_is_judged_by_its_own_exactness_though_it_has_left(repository, spec):
    plain, apart = (
        build(spec("rough", external_data=each), repository, rebuild=True) for each in (None, True)
    )
    assert any("away from double precision" in note for note in plain.notes)
    assert apart.notes == plain.notes
    assert apart.manifest.gate == plain.manifest.gate


def test_a_failed_gate_leaves_nothing(repository, spec):
    with pytest.raises(GateError):
        build(spec("wrong"), repository)
    assert left(repository) == []


def test_a_dry_run_touches_nothing(repository, spec):
    built = build(spec(), repository, dry_run=True)
    assert {"model.onnx", "model.onnx.data"} <= built.manifest.files.keys()
    assert not repository.path.exists()


def test_a_name_of_its_own_names_both(repository, spec):
    built = build(spec(config={"default_model_filename": "net.onnx"}), repository)
    assert files(built) == ["golden.npz", "manifest.json", "net.onnx", "net.onnx.data"]
    assert graph.external_files(built.entry.version_dir / "net.onnx") == ("net.onnx.data",)
    assert build(spec(config={"default_model_filename": "net.onnx"}), repository).unchanged


@pytest.mark.parametrize("wish", [{}, {"precision": "fp16", "bake": True}])
def test_tensorrt_has_the_same_names_and_half_floats(repository, spec, wish):
    plain, apart = (
        build(
            spec(accelerator="tensorrt", external_data=each, name=f"net{each}", **wish), repository
        )
        for each in (None, True)
    )
    assert files(apart) == FILES
    found = [onnx.load(each.entry.version_dir / "model.onnx") for each in (plain, apart)]
    assert [node.output for node in found[0].graph.node] == [
        node.output for node in found[1].graph.node
    ]
    sizes = [(each.entry.version_dir / "model.onnx.data") for each in (apart,)]
    assert sizes[0].stat().st_size < (12000 if wish else 24000)


def test_a_server_answers_as_the_model_does(embedded, repository, spec):
    del embedded
    build(spec(), repository)
    (report,) = parity(repository, ("net",), Wish(), endpoint=None, rehearsed=lambda _: None)
    assert report.passed


# --- files ----------------------------------------------------------------------------------------


def test_a_file_and_its_weights_are_taken_whole(repository, spec, tmp_path):
    built = build(spec(str(given(tmp_path / "in"))), repository)
    assert files(built) == FILES
    assert built.manifest.exporter == "as given"
    assert str(tmp_path / "in" / "w.bin") in built.manifest.read
    assert build(spec(str(tmp_path / "in" / "given.onnx")), repository).unchanged
    inside = build(spec(str(tmp_path / "in" / "given.onnx"), external_data=False), repository)
    assert files(inside) == FILES[:-1]


def test_a_file_of_a_newer_opset_is_converted_beside_its_weights(repository, spec, tmp_path):
    path = given(tmp_path / "in")
    model = onnx.version_converter.convert_version(onnx.load(path, load_external_data=False), 23)
    model.ir_version = 12
    path.write_bytes(model.SerializeToString())
    built = build(spec(str(path)), repository)
    assert (built.manifest.opset, built.manifest.ir) == (21, 10)
    assert files(built) == FILES


def missing(folder):
    (folder / "w.bin").unlink()


def short(folder):
    with (folder / "w.bin").open("r+b") as file:
        file.truncate(16000)


def fifo(folder):
    missing(folder)
    os.mkfifo(folder / "w.bin")


def leading_out(folder):
    (folder / "w.bin").rename(folder.parent / "w.bin")
    (folder / "w.bin").symlink_to(folder.parent / "w.bin")


@pytest.mark.parametrize(
    ("spoil", "entries", "said"),
    [
        (missing, {}, "given.onnx needs 'w.bin' beside it, which is missing"),
        (short, {}, "given.onnx needs more weights than 'w.bin' holds: 16384 bytes, not 16000"),
        (fifo, {}, "given.onnx needs 'w.bin' beside it, which is no file"),
        (leading_out, {}, "given.onnx keeps weights outside its folder, at 'w.bin'"),
        (None, {"location": "../w.bin"}, "keeps weights outside its folder, at '../w.bin'"),
        (None, {"location": "/w.bin"}, "keeps weights outside its folder, at '/w.bin'"),
        (None, {"location": "a/../../w.bin"}, "outside its folder, at 'a/../../w.bin'"),
        (None, {"offset": 4}, "needs more weights than 'w.bin' holds: 16388 bytes, not 16384"),
        (None, {"length": 16380}, "has 16380 bytes for 'w', whose shape takes 16384"),
        (None, {"location": "given.onnx"}, "needs more weights than 'given.onnx' holds"),
        (None, {"location": "."}, "needs '.' beside it, which is no file"),
    ],
)
def test_weights_that_are_not_whole_are_refused(repository, spec, tmp_path, spoil, entries, said):
    path = given(tmp_path / "in", **entries)
    if spoil is not None:
        spoil(path.parent)
    with pytest.raises(GraphError) as caught:
        build(spec(str(path)), repository)
    assert said in caught.value.message
    assert caught.value.hint
    assert left(repository) == []


def test_half_floats_of_a_file_that_lies_apart(repository, spec, tmp_path):
    wish = {"accelerator": "tensorrt", "precision": "fp16", "bake": True}
    built = build(spec(str(given(tmp_path / "in")), **wish), repository)
    data = built.entry.version_dir / "model.onnx.data"
    assert data.stat().st_size == 64 * 64 * 2


@pytest.mark.slow
def test_a_file_over_two_gib_lies_apart_by_itself(repository, spec, tmp_path):
    rows = 600_000  # of 4 KiB each; none of them takes room on the disk
    table = T(name="table", data_type=T.FLOAT, dims=[rows, 1024], data_location=T.EXTERNAL)
    for key, value in {"location": "zero.bin", "length": rows * 4096}.items():
        table.external_data.add(key=key, value=str(value))
    with (tmp_path / "zero.bin").open("wb") as file:
        file.truncate(rows * 4096)
    nodes = [graphs.node("Gather", ["table", "i"], ["y"])]
    ports = [("i", T.INT64, ["n"])], [("y", T.FLOAT, ["n", 1024])]
    path = graphs.saved(tmp_path / "large.onnx", nodes, *ports, [table])
    with pytest.raises(GraphError, match="would be over 2 GiB"):
        build(spec(str(path), external_data=False), repository)
    assert left(repository) == []
    assert files(build(spec(str(path), external_data=None), repository)) == FILES
    half = {"accelerator": "tensorrt", "precision": "fp16", "bake": True, "external_data": None}
    with pytest.raises(GraphError, match="over 2 GiB, and is not made one of half floats"):
        build(spec(str(path), **half), repository)


# --- the command ----------------------------------------------------------------------------------


def command(tmp_path, *words, **more):
    """Run a build as a user does."""
    argv = [sys.executable, "-m", "tritonforge", "build", *map(str, words), "-r", tmp_path / "r"]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path, **more)


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path):
    path = given(tmp_path / "in")

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    ended = command(tmp_path, path, "--external-data", preexec_fn=limited)
    assert ended.returncode == 2
    assert "model.onnx.data: File too large" in ended.stderr
    assert "Hint: free some space" in ended.stderr
    assert {each.name for each in tmp_path.iterdir()} == {"in", "r"}
    assert {each.name for each in (tmp_path / "r").iterdir()} == {".tritonforge.lock"}


def test_a_disk_that_is_full_during_an_export_is_told(tmp_path):
    (tmp_path / "made.py").write_text(FACTORIES, "utf-8")

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    ended = command(tmp_path, "made.py:net", "--external-data", preexec_fn=limited)
    assert ended.returncode == 2
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert {each.name for each in (tmp_path / "r").iterdir()} == {".tritonforge.lock"}


def test_a_file_of_specs_says_it_too(tmp_path):
    (tmp_path / "made.py").write_text(FACTORIES, "utf-8")
    text = '[models.net]\nsource = "made.py:net"\nexternal_data = true\n'
    (tmp_path / "tritonforge.toml").write_text(text, "utf-8")
    assert command(tmp_path).returncode == 0
    folder = tmp_path / "r" / "net" / "1"
    assert (folder / "model.onnx.data").is_file()
    assert command(tmp_path, "net", "--no-external-data").returncode == 0
    assert not (folder.parent / "2" / "model.onnx.data").exists()
