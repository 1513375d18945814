"""TorchScript files: what they say of themselves, how they fail, what they must not do, built."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import nets
import numpy as np
import pytest
import torch
from loading import load, refusal, spec
from torch import Tensor, nn

from tritonforge import sources
from tritonforge.build import build
from tritonforge.errors import ExportError
from tritonforge.repository import Repository
from tritonforge.spec import parse_input
from tritonforge.tensors import DType, TensorSpec

ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)
X = parse_input("x:FP32:batch,4")

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")


class Pair(NamedTuple):
    left: Tensor
    right: Tensor | None


class Named(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"twice": x * 2, "more": x + 1}


class Paired(nn.Module):
    def forward(self, x: Tensor) -> Pair:
        return Pair(x * 2, None)


class Nested(nn.Module):
    def forward(self, x: Tensor):
        return x * 2, [x + 1, x - 1], ({"rows": x}, x.size(0))


class Perhaps(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor] | None:
        return None if self.training else {"a": x * 2, "b": x + 1}


class Numbered(nn.Module):
    def forward(self, x: Tensor) -> dict[int, Tensor]:
        return {3: x * 2, 7: x + 1}


class Sparing(nn.Module):
    """Takes more than it must, and keeps a buffer."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.register_buffer("shift", torch.full((4,), 2.0))

    def forward(self, x: Tensor, bias: Tensor | None = None, factor: int = 2):
        y = self.one(x) * factor + self.shift
        return y if bias is None else y + bias


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 4)

    def forward(self, ids: Tensor, x: Tensor):
        return self.embed(ids).sum(1) + x, ids * 2


class Adding(nn.Module):
    def forward(self, x: Tensor, count: int):
        return x + count


class Ignoring(nn.Module):
    def forward(self, x: Tensor, unused: Tensor):
        del unused
        return x * 2


class Tupled(nn.Module):
    def forward(self, x: Tensor):
        return x * 2, {"rows": (x, x.size(0))}


@pytest.fixture
def saved(tmp_path):
    """Return a saver of modules: scripted, or traced where examples are given."""

    def save(module, *examples, name="net.pt"):
        torch.manual_seed(0)
        path = tmp_path / name
        if examples:
            torch.jit.trace(module.eval(), examples, strict=False).save(path)
        else:
            torch.jit.script(module.eval()).save(path)
        return path

    return save


def rewritten(path, change):
    """Write an archive again, its code through `change`."""
    with zipfile.ZipFile(path) as archive:
        files = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            if not name.endswith(".debug_pkl"):
                is_code = name.endswith(".py")
                archive.writestr(name, change(data.decode()).encode() if is_code else data)
    return path


# --- what a file says of itself -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "Net.TorchScript", "net.ts"])
def test_a_file_is_known_by_its_ending_and_names_its_model(name):
    assert sources.kind(f"some/{name}") is sources.SOURCES["torchscript"]
    assert sources.model_name(spec(f"some/{name}")) == name.split(".")[0]


def test_a_traced_file_remembers_what_it_was_traced_with(saved):
    path = saved(Embedding(), torch.ones(3, 5, dtype=torch.int64), torch.ones(3, 4))
    loaded = load(path)
    assert loaded.inputs == (
        TensorSpec(name="ids", dtype=DType.INT64, dims=("batch", 5)),
        TensorSpec(name="x", dtype=DType.FP32, dims=("batch", 4)),
    )
    assert not loaded.asked
    assert loaded.weights == f"file {path}"
    assert loaded.read == (path,)
    assert sources.identity(str(path)) == (str(path), "")


def test_what_is_stated_goes_before_what_is_remembered(saved):
    path = saved(Embedding(), torch.ones(3, 5, dtype=torch.int64), torch.ones(3, 4))
    loaded = load(path, inputs=(parse_input("ids:INT32:batch,seq"),))
    assert [str(each) for each in loaded.inputs] == ["ids:INT32:batch,seq", "x:FP32:batch,4"]
    assert loaded.asked


def test_a_scripted_file_has_its_inputs_stated(saved):
    path = saved(Embedding())
    error = refusal(path)
    assert str(error).endswith("does not say of what dtype and shape its inputs are: ids, x")
    assert "--input ids:FP32:batch,3,224,224 --input x:FP32:batch,3,224,224" in error.hint
    assert "x:FP32" in refusal(path, inputs=(parse_input("ids:INT64:batch,5"),)).hint


def test_arguments_with_defaults_are_taken_where_they_are_stated(saved):
    path = saved(Sparing())
    assert load(path, inputs=(X,)).inputs == (X,)
    bias = parse_input("bias:FP32:batch,4")
    assert load(path, inputs=(bias, X)).inputs == (X, bias)
    error = refusal(path, inputs=(X, parse_input("bais:FP32:batch,4")))
    assert "--input names 'bais', which" in str(error)
    assert "'bias'" in error.hint
    assert "does not take" in str(refusal(path, inputs=(X, parse_input("factor:INT64:1"))))


def test_half_floats_stay_and_training_ends(saved, tmp_path):
    path = saved(nn.Linear(4, 2).half(), torch.ones(2, 4).half())
    assert str(load(path).inputs[0]) == "input:FP16:batch,4"
    torch.jit.script(nn.Sequential(nn.Dropout(0.5)).train()).save(tmp_path / "training.pt")
    module = load(tmp_path / "training.pt", inputs=(parse_input("input:FP32:2"),)).module
    assert not module.training
    assert torch.equal(module(torch.ones(9)), torch.ones(9))


def test_what_a_trace_put_on_a_gpu_comes_to_the_cpu(saved):
    class Placed(nn.Module):
        def forward(self, x: Tensor):
            return x + torch.ones([4], device=torch.device("cuda:0"))

    path = saved(Placed())
    before = path.read_bytes()
    module = load(path, inputs=(X,)).module
    assert torch.equal(module(torch.ones(2, 4)), torch.full((2, 4), 2.0))
    assert path.read_bytes() == before


# --- what does not apply, and what is no such file ------------------------------------------------


def test_what_does_not_apply_is_told(saved, tmp_path):
    path = saved(Named())
    unweighted = refusal(path, weights="random")
    assert "--weights does not apply" in str(unweighted)
    assert unweighted.hint.startswith("leave it out")
    assert "dynamo exporter does not read" in str(refusal(path, exporter="dynamo"))
    error = refusal(tmp_path / "nett.pt")
    assert "no file" in str(error)
    assert "net.pt" in error.hint
    (tmp_path / "folder.pt").mkdir()
    assert "is a folder" in str(refusal(tmp_path / "folder.pt"))


def test_weights_that_are_not_those_that_were_written_are_told(saved):
    path = saved(nn.Linear(4, 2))
    weight = torch.jit.load(path).weight.detach().numpy().tobytes()
    data = path.read_bytes()
    path.write_bytes(data.replace(weight, bytes(len(weight))))
    assert "is damaged: its bytes do not fit their sum" in str(refusal(path, inputs=(X,)))
    path.write_bytes(data[: len(data) // 2])
    assert str(refusal(path)).endswith("is cut short")
    path.write_bytes(b"")
    assert str(refusal(path)).endswith("is empty")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        nn.Linear(2, 2).state_dict(),
        {"epoch": 3, "state_dict": nn.Linear(2, 2).state_dict()},
        OrderedDict(),
        torch.ones(2),
    ],
)
def test_weights_are_told_from_models(tmp_path, zipped, content):
    path = tmp_path / "w.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    error = refusal(path)
    assert str(error) == f"{path} holds weights and no model"
    assert f"tritonforge build file.py:factory --weights {path}" in error.hint


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return Path.mkdir, (Path("exploded"),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("content", [nn.Linear(2, 2), {"model": nn.Linear(2, 2)}, nets.Mlp()])
def test_a_pickled_module_is_refused_by_its_class(tmp_path, zipped, content):
    path = tmp_path / "whole.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    error = refusal(path)
    assert "is a pickled " in str(error)
    assert "would run code when it is loaded" in str(error)
    assert ("nets.Mlp" in str(error)) == isinstance(content, nets.Mlp)
    assert "state_dict() to --weights" in error.hint


def test_a_pickle_that_runs_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(Bomb(), "zipped.pt")
    Path("plain.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    for name in ("zipped.pt", "plain.pt"):
        assert "pathlib.Path" in str(refusal(name)) or "is a pickled" in str(refusal(name))
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"text", b"PK\x03\x04", b"\x80\x02.", b"\xff" * 64]
)
def test_what_is_nothing_of_the_kind_is_told(tmp_path, content):
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    assert str(path) in str(refusal(path))


def test_a_damaged_file_is_told(saved):
    path = saved(Sparing())
    whole = path.read_bytes()
    for part in (whole[:-100], whole[:100], whole[: len(whole) // 2]):
        path.write_bytes(part)
        assert str(path) in str(refusal(path))
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("net/data.pkl", "net/constants.pkl"):
            archive.writestr(name, b"")
    assert f"cannot read {path}" in str(refusal(path))


def test_a_forward_that_no_request_can_call_is_told(saved):
    error = refusal(saved(Adding()))
    assert "the argument 'count' of" in str(error)
    assert "is int, which no request carries" in str(error)

    class Without(nn.Module):
        pass

    assert "has no forward" in str(refusal(saved(Without())))


def test_what_belongs_elsewhere_is_told_where(saved, tmp_path):
    path = tmp_path / "program.pt"
    torch.export.save(torch.export.export(nn.Linear(4, 2), (torch.ones(2, 4),)), tmp_path / "p.pt2")
    (tmp_path / "p.pt2").rename(path)
    assert refusal(path).hint == "let its name end in .pt2"
    model = saved(Named())
    error = refusal(f"{nets.__file__}:mlp", weights=str(model))
    assert str(error) == f"{model} is a TorchScript model and not weights alone"
    assert error.hint == f"build it by itself: tritonforge build {model}"


# --- what a file must not do ----------------------------------------------------------------------


class Saving(nn.Module):
    def forward(self, x: Tensor):
        torch.save(x, "exploded")
        return x


class Mapping(nn.Module):
    def forward(self, x: Tensor):
        return x + torch.from_file("exploded", True, 4)


class Waking(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.ones(4)

    def forward(self, x: Tensor):
        return x + self.w

    @torch.jit.export
    def __getstate__(self):
        return self.w, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]):
        self.w = torch.from_file("exploded", True, 4)
        self.training = state[1]


@pytest.mark.parametrize("module", [Saving, Mapping, Waking])
def test_code_that_touches_files_is_not_loaded(saved, tmp_path, monkeypatch, module):
    path = saved(module())
    monkeypatch.chdir(tmp_path)
    Path("exploded").unlink(missing_ok=True)
    error = refusal(path, inputs=(X,))
    assert "which touches files: it is not loaded" in str(error)
    assert not Path("exploded").exists()
    torch.jit.load(path)
    assert Path("exploded").exists() == (module is Waking)  # what the refusal is for


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("int=2", 'int=torch.size(torch.from_file("exploded", True, 4), 0)', "torch.from_file"),
        (
            "int=2",
            'int=torch.size(getattr(torch, "from\\137file")("e", True, 4), 0)',
            "calls from_file",
        ),
        ("int=2", 'int=torch.size(x.save("exploded"), 0)', "save"),
        ("int=2", 'int=getattr(x, "save")("exploded")', "save"),
        ("int=2", "int=ops.aoti.load(x)", "ops.aoti.load, an operator that torch does not bring"),
        ("int=2", "int=(ops.aten).save(x)", "ops.aten.save"),
        ("int=2", "int=f(ops.aten)", "ops.aten"),
        ("int=2", "int=__torch__.torch.classes.aoti.Runner(x)", "C++ class"),
        ("int=2", "int=rpc_sync(x)", "rpc_sync, another machine"),
        ("int=2", "int=f(__torch__.torch)", "__torch__.torch"),
        ("int=2", "int=2\u00a0", "code that torch did not write"),
        ("int=2", "int=(", "code that cannot be read"),
    ],
)
def test_code_that_a_person_has_put_in_is_not_run(saved, tmp_path, monkeypatch, was, becomes, said):
    path = rewritten(saved(Sparing()), lambda text: text.replace(was, becomes))
    monkeypatch.chdir(tmp_path)
    assert said in str(refusal(path, inputs=(X,)))
    assert not Path("exploded").exists()


@pytest.mark.parametrize("name", ["other.pkl", "OTHER.PKL"])  # torch finds either as the other
def test_objects_of_classes_in_c_are_told(saved, name):
    path = saved(Named())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"net/{name}", b"c__torch__.torch.classes.aoti.Runner\nX\n")
    assert "an object of the C++ class aoti.Runner" in str(refusal(path))


def test_a_format_of_before_torch_1_4_is_not_loaded_however_it_is_spelt(saved):
    path = saved(Named())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/MODEL.JSON", "{}")
    assert "no module as torch.jit has saved it since torch 1.4" in str(refusal(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_told(saved):
    path = saved(Named())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/code/__torch__.py", "")
        archive.writestr("net/code/__torch__.py", "")
    assert "two files of one name" in str(refusal(path))


# --- built ----------------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path):
    """Return a builder into a repository of this test."""

    def build_it(path, *inputs, **more):
        stated = tuple(map(parse_input, inputs))
        return build(
            spec(path, inputs=stated, max_batch_size=4, **more), Repository(tmp_path / "models")
        )

    return build_it


def test_a_scripted_module_with_a_branch_is_built_and_built_anew_when_it_changes(saved, built):
    path = saved(nets.Branches())
    first = built(path, "x:FP32:batch,4")
    assert (first.name, first.version) == ("net", 1)
    assert first.unbatched is not None  # its branch is taken by the whole batch
    assert first.manifest.exporter.startswith("torchscript")
    assert built(path, "x:FP32:batch,4").unchanged
    torch.manual_seed(1)
    torch.jit.script(nets.Branches().eval()).save(path)
    again = built(path, "x:FP32:batch,4")
    assert (again.unchanged, again.version) == (False, 2)


def test_a_traced_module_of_several_inputs_is_built_by_itself(saved, built):
    made = built(saved(Embedding(), torch.ones(3, 5, dtype=torch.int64), torch.ones(3, 4)))
    signature = made.manifest.signature
    assert [str(each) for each in signature.inputs] == ["ids:INT64:batch,5", "x:FP32:batch,4"]
    assert [each.name for each in signature.outputs] == ["output_0", "output_1"]
    assert made.max_batch_size == 4


@pytest.mark.parametrize(
    ("module", "outputs", "notes"),
    [
        (Named, ["twice", "more"], []),
        (Perhaps, ["a", "b"], []),
        (Numbered, ["output_3", "output_7"], []),
        (Paired, ["left"], ["output 'right' is None, and left out"]),
        (
            Nested,
            ["output_0", "output_1_0", "output_1_1", "output_2_0_rows"],
            ["output 'output_2_1' is of type int, no tensor, and left out"],
        ),
    ],
)
def test_outputs_of_every_form_are_built(saved, built, module, outputs, notes):
    made = built(saved(module()), "x:FP32:batch,4")
    assert [each.name for each in made.manifest.signature.outputs] == outputs
    assert [note for note in made.notes if "output" in note] == notes


def test_arguments_left_out_and_stated_are_built(saved, built):
    path = saved(Sparing())
    assert len(built(path, "x:FP32:batch,4").manifest.signature.inputs) == 1
    both = built(path, "x:FP32:batch,4", "bias:FP32:batch,4", name="both")
    assert [each.name for each in both.manifest.signature.inputs] == ["x", "bias"]


def test_an_argument_that_the_file_demands_and_does_not_use_is_left_out(saved, built):
    made = built(saved(Ignoring()), "x:FP32:batch,4", "unused:FP32:batch,3")
    assert [each.name for each in made.manifest.signature.inputs] == ["x"]
    assert "input 'unused' is left out: the model does not use it" in made.notes


def test_tuples_in_a_dict_are_told(saved, built):
    with pytest.raises(ExportError, match="keeps tuples in a list or dict") as caught:
        built(saved(Tupled()), "x:FP32:batch,4")
    assert caught.value.hint == "keep and return tensors alone in lists and dicts"


class Folding(nn.Module):
    def forward(self, x: Tensor):
        return x.view(int(x.shape[0]), 2, 2) * 2


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_batch_that_tracing_froze_costs_the_batching_and_is_told(saved, built, batch):
    path = saved(Folding(), torch.ones(batch, 4))
    made = built(path)
    assert made.max_batch_size == 0
    assert made.unbatched.startswith("it fails on another batch: RuntimeError: shape '[")
    assert made.manifest.signature.inputs[0].dims == (batch, 4)
    with pytest.raises(ExportError, match="the model itself fails on"):
        built(path, "x:FP32:batch,4")
