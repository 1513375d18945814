"""Exported programs: what they say of themselves, how they fail, what they must not run, built."""

import json
import zipfile

import pytest
import torch
from loading import load, refusal
from torch import nn

from tritonforge import release, sources
from tritonforge.build import build
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec, Range, parse_input
from tritonforge.tensors import DType, TensorSpec


class Net(nn.Module):
    """Two inputs that share a batch, one of a dynamic length; a dict and None come back."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(8, 4)

    def forward(self, x, ids):
        return {"sums": self.one(x) + ids.sum(1, keepdim=True), "twice": (x * 2, None)}


@pytest.fixture
def saved(tmp_path):
    """Return a maker of a program's file."""

    def make(most=64, name="net"):
        torch.manual_seed(0)
        batch, length = torch.export.Dim("rows", max=most), torch.export.Dim("n", min=2, max=32)
        args = torch.randn(3, 8), torch.ones(3, 5, dtype=torch.int64)
        shapes = ({0: batch}, {0: batch, 1: length})
        program = torch.export.export(Net().eval(), args, dynamic_shapes=shapes)
        path = tmp_path / f"{name}.pt2"
        torch.export.save(program, path)
        return path

    return make


def rewrite(path, change):
    """Write an archive again, each file through `change(name, bytes)`, which gives files."""
    with zipfile.ZipFile(path) as archive:
        files = [(each, archive.read(each)) for each in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files:
            for new in change(name, data):
                archive.writestr(*new)


def test_a_program_says_what_it_takes(saved):
    path = saved()
    loaded = load(path)
    assert loaded.inputs == (
        TensorSpec(name="x", dtype=DType.FP32, dims=("batch", 8)),
        TensorSpec(name="ids", dtype=DType.INT64, dims=("batch", "ids_1")),
    )
    assert loaded.ranges == {"ids_1": Range(low=2, high=32)}
    assert loaded.asked
    assert loaded.weights == f"file {path}"
    assert loaded.read == (path,)
    assert sources.identity(str(path)) == (str(path), "")
    assert load(saved(name="again")).weights_sha256 == loaded.weights_sha256


def test_a_program_is_built(saved, tmp_path):
    spec = ModelSpec(source=str(saved()), target=release.find("24.10"), max_batch_size=4)
    repository = Repository(tmp_path / "models")
    built = build(spec, repository)
    assert built.name == "net"
    assert [each.name for each in built.manifest.signature.outputs] == ["sums", "twice_0"]
    assert built.max_batch_size == 4
    assert build(spec, repository).unchanged


def test_what_does_not_apply_is_told(saved, tmp_path):
    path = saved(most=8)
    unweighted = refusal(path, weights="random")
    assert "--weights does not apply" in str(unweighted)
    assert unweighted.hint.startswith("leave it out")
    assert "--input does not apply" in str(refusal(path, inputs=(parse_input("x:FP32:4"),)))
    error = refusal(path, max_batch_size=9)
    assert "takes batches of 8 at most" in str(error)
    assert error.hint == "give --max-batch-size 8"
    assert "no file" in str(refusal(tmp_path / "none.pt2"))


def test_what_is_no_program_is_told(saved, tmp_path, capfd):
    path = tmp_path / "state.pt2"
    path.write_bytes(b"no archive")
    assert "is no archive of torch.export" in str(refusal(path))
    torch.save(nn.Linear(2, 2).state_dict(), path)
    assert f"cannot read {path}" in str(refusal(path))
    whole = saved()
    whole.write_bytes(whole.read_bytes()[:-200])
    assert f"{whole} is no archive of torch.export: it is cut short" in str(refusal(whole))
    assert "Error" not in capfd.readouterr().err


def object_of(name, data):
    """Turn the first constant into an object, and into what is run when it is unpickled."""
    if name.endswith("constants_config.json"):
        said = json.loads(data)
        said["config"]["bomb"] = {"path_name": "opaque_obj_0", "is_param": False}
        said["config"]["bomb"] |= {"use_pickle": True, "tensor_meta": None}
        data = json.dumps(said).encode()
    return [(name, data)]


def code_of(name, data):
    """Have the sizes computed by code."""
    if name.endswith(("models/net.json", "models/model.json")):
        text = data.decode()
        said = json.dumps("__import__('os').system('touch exploded')")
        start = text.index('"expr_str":') + len('"expr_str":')
        rest = text[start:].lstrip()
        _, end = json.JSONDecoder().raw_decode(rest)
        data = f"{text[:start]}{said}{rest[end:]}".encode()
    return [(name, data)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (object_of, "holds the object opaque_obj_0"),
        (
            lambda name, data: [(n.replace(".json", ".JSON"), d) for n, d in object_of(name, data)],
            "holds the object opaque_obj_0",  # torch reads either spelling
        ),
        (code_of, "holds the size"),
        (lambda name, data: [(name, data)] * 2, "holds two files of one name"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_would_run_code_is_refused_unread(saved, tmp_path, monkeypatch, change, said):
    monkeypatch.chdir(tmp_path)
    path = saved()
    rewrite(path, change)
    error = refusal(path)
    assert said in str(error)
    assert "could run code" in str(error)
    assert not (tmp_path / "exploded").exists()


class Fixed(nn.Module):
    def forward(self, x, factor: int):
        return x * factor


def test_an_input_that_is_no_tensor_is_told(tmp_path):
    path = tmp_path / "fixed.pt2"
    torch.export.save(torch.export.export(Fixed(), (torch.ones(2, 3), 2)), path)
    assert "the input 2 of" in str(refusal(path))


class Wasteful(nn.Module):
    """Takes what it does not use, of a length that nothing else has."""

    def forward(self, x, mask):
        del mask
        return {"y": x * 2, "nothing": None}


def test_what_a_program_does_not_use_or_give_is_left_out_and_told(tmp_path):
    path = tmp_path / "wasteful.pt2"
    rows, length = torch.export.Dim("rows"), torch.export.Dim("n", min=2, max=32)
    args = torch.ones(3, 4), torch.ones(3, 5)
    shapes = ({0: rows}, {0: rows, 1: length})
    torch.export.save(torch.export.export(Wasteful(), args, dynamic_shapes=shapes), path)
    spec = ModelSpec(source=str(path), target=release.find("24.10"), max_batch_size=4)
    built = build(spec, Repository(tmp_path / "models"))
    assert [each.name for each in built.manifest.signature.inputs] == ["x"]
    assert [each.name for each in built.manifest.signature.outputs] == ["y"]
    assert "input 'mask' is left out: the model does not use it" in built.notes
    assert "output 'nothing' is None, and left out" in built.notes
    assert built.max_batch_size == 4
