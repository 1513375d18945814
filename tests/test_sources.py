"""What a user hands in: which kind it is, how it is named, what it says of itself, how it fails."""

import hashlib
import os
import pickle
import socket
import sys
from pathlib import Path

import nets
import numpy as np
import pytest
import safetensors.torch
import tiny
import torch
from loading import load, refusal, spec

from tritonforge import release, sources
from tritonforge.errors import SourceError, SpecError
from tritonforge.sources import weights
from tritonforge.spec import Domain, ModelSpec, parse_input
from tritonforge.tensors import DType, TensorSpec

NETS = Path(nets.__file__)
CLOSED = "http://127.0.0.1:9"  # nothing listens on the discard port


@pytest.fixture
def written(tmp_path):
    """Return a writer of source files, and forget what was imported of them."""
    before = list(sys.path), set(sys.modules)

    def write(text, name="written"):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    yield write
    sys.path[:] = before[0]
    for name in set(sys.modules) - before[1]:
        del sys.modules[name]


# --- kinds and names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("resnet50", "torchvision", "resnet50"),
        ("torchvision:resnet50", "torchvision", "resnet50"),
        ("efficientnet_b0", "torchvision", "efficientnet_b0"),
        ("timm:resnet10t.c3_in1k", "timm", "resnet10t.c3_in1k"),
        ("timm:beit3_base_patch16_224.pt", "timm", "beit3_base_patch16_224.pt"),
        ("nets.py:mlp", "factory", "nets_mlp"),
        ("some/where/nets.py:mlp", "factory", "nets_mlp"),
        ("pkg.module:make", "factory", "module_make"),
        ("pkg.module:Net.make", "factory", "module_Net.make"),
        ("my nets (1).py:make", "factory", "my_nets_1__make"),
        ("model.onnx", "onnx", None),
        ("some/where/yolo v8.onnx", "onnx", "yolo_v8"),
        ("some/yolo/model.onnx", "onnx", "yolo"),
        ("models/yolo/12/model.onnx", "onnx", "yolo"),
        ("models/yolo/v2/model.onnx", "onnx", "v2"),
        ("UPPER.ONNX", "onnx", "UPPER"),
        ("some/where/net.pt2", "pt2", "net"),
    ],
)
def test_a_source_is_known_by_its_form_and_names_its_model(text, kind, name):
    assert sources.kind(text) is sources.SOURCES[kind]
    if name is not None:
        assert sources.model_name(spec(text)) == name
    assert sources.model_name(spec(text, name="mine")) == "mine"


@pytest.mark.parametrize("text", ["", "a/b", "a b", "weights.pth/", "a:", ":b", "file.py:1x", "ü"])
def test_what_is_no_source_is_told_with_the_forms(text):
    with pytest.raises(SourceError, match="cannot tell what kind of source") as caught:
        sources.kind(text)
    assert "file.py:factory" in caught.value.hint


@pytest.mark.parametrize("name", ["ext", "./ext", "ext/"])
@pytest.mark.parametrize(
    ("holds", "said", "hint"),
    [
        (
            "notes.txt",
            "is a folder that holds no model: no config.json, and no file that ends in .onnx",
            "hf:FOLDER",
        ),
        ("config.json", "is a folder", "hf:{} builds what its config.json describes"),
        ("net.onnx", "is a folder", "name a file in it: ext/net.onnx"),
        ("1/model.onnx", "is a folder", "name a file in it: ext/1/model.onnx"),
    ],
)
def test_a_folder_is_told_by_what_it_holds(tmp_path, monkeypatch, name, holds, said, hint):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "ext" / holds
    file.parent.mkdir(parents=True)
    file.touch()
    error = refusal(name)
    assert f"{name!r} {said}" in str(error)
    assert hint.format(name) in error.hint
    assert "alexnet" not in error.hint


# --- onnx files -----------------------------------------------------------------------------------


def test_an_onnx_file_is_taken_with_its_hash(tmp_path):
    path = tiny.save(tmp_path / "m.onnx", *tiny.DOUBLE)
    loaded = load(path)
    assert (loaded.path, loaded.module) == (path, None)
    assert loaded.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.weights == f"file {path}"


def test_what_does_not_apply_to_an_onnx_file_is_told(tmp_path):
    path = tiny.save(tmp_path / "m.onnx", *tiny.DOUBLE)
    assert "no file" in str(refusal(tmp_path / "other.onnx"))
    (tmp_path / "dir.onnx").mkdir()
    assert "is a folder" in str(refusal(f"{tmp_path}/dir.onnx"))
    (tmp_path / "link.onnx").symlink_to("gone.onnx")
    assert "leads to no file: gone.onnx" in str(refusal(tmp_path / "link.onnx"))
    unweighted = refusal(path, weights="random")
    assert "--weights does not apply" in str(unweighted)
    assert unweighted.hint.startswith("leave it out")
    assert "--input does not apply" in str(refusal(path, inputs=(parse_input("x:FP32:4"),)))


# --- factories ------------------------------------------------------------------------------------


def test_a_factory_gives_a_module_in_eval_mode_and_its_inputs():
    loaded = load(f"{NETS}:mlp")
    assert type(loaded.module).__name__ == "Mlp"
    assert not loaded.module.training
    assert loaded.inputs == (TensorSpec(name="features", dtype=DType.FP32, dims=("batch", 8)),)
    assert loaded.examples["features"].shape == (1, 8)
    assert loaded.domains == {"features": Domain(kind="normal")}
    assert not loaded.asked
    assert loaded.weights == f"as {NETS}:mlp made them, seed 0"
    assert loaded.versions == {"torch": torch.__version__}


def test_the_seed_makes_the_weights():
    first, again, other = (load(f"{NETS}:mlp", seed=seed) for seed in (0, 0, 1))
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256


def test_inputs_that_are_stated_count():
    wish = (parse_input("features:FP32:rows,8"),)
    loaded = load(f"{NETS}:mlp", inputs=wish)
    assert (loaded.inputs, loaded.asked, dict(loaded.examples)) == (wish, True, {})


def test_a_scripted_factory_names_its_inputs():
    assert load(f"{NETS}:scripted").inputs[0].name == "x"


EXAMPLES = """
import torch
class Net(torch.nn.Module):
    def forward(self, a, b, *rest):
        return a
net = Net()
def several():
    return net, (torch.zeros(2, 3), torch.full((2, 4), 7), torch.zeros(2, dtype=torch.bool))
def named():
    return net, {"b": torch.zeros(()), "a": torch.zeros(1, 2, dtype=torch.float16)}
def listed():
    return [net, torch.zeros(1)]
def wrong():
    return net, (torch.zeros(1), 3)
def narrow():
    return net, torch.zeros(2, 3, dtype=torch.bfloat16)
def negative():
    return net, (torch.tensor([[-3, 5]]), torch.zeros(1, 0, dtype=torch.int32))
class Holder:
    @staticmethod
    def make():
        return net, torch.zeros(1)
"""


def test_examples_are_named_after_the_arguments(written):
    path = written(EXAMPLES)
    assert [str(each) for each in load(f"{path}:several").inputs] == [
        "a:FP32:batch,3",
        "b:INT64:batch,4",
        "rest:BOOL:batch",
    ]
    assert [str(each) for each in load(f"{path}:named").inputs] == ["b:FP32:", "a:FP16:batch,2"]
    assert load(f"{path}:Holder.make").inputs[0].name == "a"


def test_whole_numbers_of_an_example_give_their_domain(written):
    path = written(EXAMPLES)
    domains = load(f"{path}:several").domains
    assert domains["b"] == Domain(kind="integers", low=0, high=8)
    assert domains["rest"] == Domain(kind="integers", low=0, high=2)
    domains = load(f"{path}:negative").domains
    assert domains["a"] == Domain(kind="integers", low=-3, high=6)
    assert domains["b"] == Domain(kind="integers", low=0, high=2)


@pytest.mark.parametrize(
    ("factory", "said", "hint"),
    [
        ("listed", "returned list, not an nn.Module", "return the module"),
        ("wrong", "the example input 'b' of {} is a int, not a tensor", ""),
        ("narrow", "the example input 'a' of {} is torch.bfloat16", "float32"),
        ("missing", "has no function 'missing'", "it has several, named"),
        ("Holder.other", "has no function 'Holder.other'", ""),
        ("EXAMPLE", "has no function 'EXAMPLE'", ""),
    ],
)
def test_a_factory_that_gives_something_else_is_told(written, factory, said, hint):
    path = written(EXAMPLES)
    error = refusal(f"{path}:{factory}")
    assert said.format(f"{path}:{factory}") in str(error)
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("broken", "{}:broken failed at nets.py:{line}: RuntimeError: no such thing"),
        ("text", "{}:text returned str, not an nn.Module"),
        ("bare_mlp", "{}:bare_mlp does not say what its inputs are"),
        ("Exotic.forward", "{}:Exotic.forward failed: TypeError: "),
    ],
)
def test_a_factory_that_fails_is_told_with_its_line(factory, said):
    lines = NETS.read_text().splitlines()
    line = next(n for n, text in enumerate(lines, start=1) if "raise RuntimeError" in text)
    assert said.format(NETS, line=line) in str(refusal(f"{NETS}:{factory}"))


def test_inputs_that_nobody_states_are_told_with_an_example():
    assert "--input x:FP32:batch,3,224,224" in refusal(f"{NETS}:bare_mlp").hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import torch\nx = 1 / 0\n", "at {}:2: ZeroDivisionError"),
        ("def f(:\n", "SyntaxError"),
        ("import sys\nsys.exit(3)\n", "at {}:2: SystemExit"),
        ("import no_such_library\n", "ModuleNotFoundError: No module named 'no_such_library'"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told(written, text, said):
    path = written(text)
    error = str(refusal(f"{path}:make"))
    assert error.startswith(f"cannot import {path}")
    assert said.format(path.name) in error


def test_a_file_or_module_that_is_not_there_is_told(tmp_path):
    assert f"no file {tmp_path}/none.py" in str(refusal(f"{tmp_path}/none.py:make"))
    error = str(refusal("no_such_package.inner:make"))
    assert "cannot import no_such_package.inner: ModuleNotFoundError" in error


def test_a_file_imports_its_neighbours_and_a_module_the_current_folder(written, monkeypatch):
    text = "import torch\ndef net():\n    return torch.nn.Identity(), torch.zeros(1, 2)\n"
    neighbour = written(text, "a_neighbour")
    path = written("from a_neighbour import net\n", "with_neighbour")
    assert load(f"{path}:net").inputs[0].dims == ("batch", 2)
    monkeypatch.chdir(neighbour.parent)
    assert load("a_neighbour:net").inputs[0].dims == ("batch", 2)


def test_a_file_named_like_a_library_does_not_replace_it(written):
    text = "import torch\ndef net():\n    return torch.nn.Identity(), torch.zeros(1, 2)\n"
    for name in ("json", "torch", "onnx"):
        before = sys.modules.get(name)
        assert load(f"{written(text, name)}:net").inputs[0].dims == ("batch", 2)
        assert sys.modules.get(name) is before


def test_two_files_of_one_name_are_two(tmp_path, written):
    text = "import torch\ndef net():\n    return torch.nn.Identity(), torch.zeros(1, {})\n"
    written(text.format(2), "same")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "same.py").write_text(text.format(3))
    assert load(f"{tmp_path}/same.py:net").inputs[0].dims == ("batch", 2)
    assert load(f"{tmp_path}/other/same.py:net").inputs[0].dims == ("batch", 3)


def test_what_a_file_says_of_itself_works_when_it_is_read_later(written):
    path = written(
        "import dataclasses, torch\n"
        "@dataclasses.dataclass\nclass Out:\n    y: torch.Tensor\n"
        "class Net(torch.nn.Module):\n    def forward(self, x):\n        return Out(y=x)\n"
        "def net():\n    return Net(), torch.zeros(1, 2)\n"
    )
    module = load(f"{path}:net").module
    assert sys.modules[type(module).__module__].Out is type(module(torch.zeros(1)))


# --- weights --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def state():
    """Weights of a Mlp that no seed makes."""
    return {name: torch.full_like(each, 0.5) for name, each in nets.Mlp().state_dict().items()}


@pytest.mark.parametrize(
    "form", ["torch", "safetensors", "state_dict", "model_state_dict", "model"]
)
def test_weights_are_read_from_every_form(tmp_path, state, form):
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state if form == "torch" else {form: state, "epoch": 3}, path)
    loaded = load(f"{NETS}:mlp", weights=str(path))
    assert all(float(each.mean()) == 0.5 for each in loaded.module.state_dict().values())
    assert loaded.weights == f"file {path}"
    plain = nets.Mlp()
    plain.load_state_dict(state)
    assert loaded.weights_sha256 == weights.fingerprint(plain)


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_code_in_weights_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"layers.0.weight": Bomb()}, "torch.pth")
    Path("plain.pth").write_bytes(pickle.dumps(Bomb(), protocol=2))
    for name in ("torch.pth", "plain.pth"):
        error = refusal(f"{NETS}:mlp", weights=name)
        assert f"cannot read the weights {name}" in str(error)
        assert "files that would run code are refused" in error.hint
        assert "unsupported GLOBAL posix.mkdir" in str(error)
        assert "weights_only" not in str(error)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.bin"])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"text", b"PK\x03\x04", b"\x80\x02.", b"\xff" * 64]
)
def test_damaged_weights_are_told(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    error = refusal(f"{NETS}:mlp", weights=str(path))
    assert f"cannot read the weights {path}: " in str(error)
    assert len(str(error)) > len(f"cannot read the weights {path}: ")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_weights_that_are_cut_are_told(tmp_path, state, name):
    path = tmp_path / name
    torch.save(state, path) if name == "w.pth" else safetensors.torch.save_file(state, path)
    path.write_bytes(path.read_bytes()[:-100])
    assert f"cannot read the weights {path}" in str(refusal(f"{NETS}:mlp", weights=str(path)))


def test_weights_of_another_architecture_are_told(tmp_path, state):
    path = tmp_path / "w.pth"
    torch.save({**state, "layers.2.bias": torch.zeros(5), "more": torch.zeros(1)}, path)
    error = refusal(f"{NETS}:mlp", weights=str(path))
    assert f"{path} does not fit the model: " in str(error)
    assert "more" in str(error)
    assert error.hint == "use weights of this very architecture"
    torch.save({}, path)
    assert "Missing key(s)" in str(refusal(f"{NETS}:mlp", weights=str(path)))


@pytest.mark.parametrize("content", [[1, 2], 3, torch.zeros(2)])
def test_weights_that_are_no_state_dict_are_told(tmp_path, content):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    assert "not a state dict" in str(refusal(f"{NETS}:mlp", weights=str(path)))


@pytest.mark.parametrize("content", [{1: torch.zeros(1)}, {"layers.0.weight": 3}, {"a": None}])
def test_state_dicts_of_something_else_are_told(tmp_path, content):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    assert "does not fit the model" in str(refusal(f"{NETS}:mlp", weights=str(path)))


def test_weights_that_are_not_there_are_told(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        error = refusal(f"{NETS}:mlp", weights=str(path))
        assert f"no weights at {path}" in str(error)
        assert "default, random or a file" in error.hint


def test_the_fingerprint_sees_every_bit_name_and_shape():
    def of(**tensors):
        module = torch.nn.Module()
        for name, tensor in tensors.items():
            module.register_buffer(name, tensor)
        return weights.fingerprint(module)

    one = torch.ones(4)
    prints = [
        of(),
        of(a=one),
        of(b=one),
        of(a=one.reshape(2, 2)),
        of(a=one.double()),
        of(a=torch.tensor([1, 1, 1, 1 + 1e-6])),
        of(a=one, b=torch.zeros(0)),
        of(a=torch.tensor(1.0)),
        of(a=one.bfloat16()),
        of(a=one.bool()),
        of(a=-torch.zeros(1)),
        of(a=torch.zeros(1)),
    ]
    assert len(set(prints)) == len(prints)
    assert of(a=one, b=one.double()) == of(b=one.double(), a=one)
    assert of(a=torch.arange(6).reshape(2, 3).t()) == of(a=torch.tensor([[0, 3], [1, 4], [2, 5]]))


# --- torchvision ----------------------------------------------------------------------------------


def test_a_torchvision_name_gives_images_classes_and_a_domain():
    loaded = load("squeezenet1_1", weights="random", seed=3)
    assert [str(each) for each in loaded.inputs] == ["input:FP32:batch,3,224,224"]
    assert loaded.domains["input"] == Domain(kind="uniform", low=-2.1179, high=2.64)
    assert (len(loaded.labels), loaded.labels[0]) == (1000, "tench")
    assert loaded.weights == "random, seed 3"
    assert not loaded.module.training
    assert set(loaded.versions) == {"torch", "torchvision"}
    assert (
        loaded.weights_sha256
        == load("torchvision:squeezenet1_1", weights="random", seed=3).weights_sha256
    )
    assert loaded.weights_sha256 != load("squeezenet1_1", weights="random", seed=4).weights_sha256


def test_torchvision_weights_from_a_file(tmp_path):
    made = load("squeezenet1_1", weights="random", seed=3)
    safetensors.torch.save_file(made.module.state_dict(), tmp_path / "w.safetensors")
    again = load("squeezenet1_1", weights=str(tmp_path / "w.safetensors"))
    assert again.weights_sha256 == made.weights_sha256
    assert "does not fit" in str(
        refusal("shufflenet_v2_x0_5", weights=str(tmp_path / "w.safetensors"))
    )


def test_the_size_of_the_image_is_the_architectures_own():
    assert load("inception_v3", weights="random").inputs[0].dims == ("batch", 3, 299, 299)


def test_a_detector_takes_one_image_of_the_size_that_it_scales_to():
    loaded = load("ssdlite320_mobilenet_v3_large", weights="random")
    assert loaded.inputs == (TensorSpec(name="input", dtype=DType.FP32, dims=(3, 320, 320)),)
    assert loaded.domains["input"] == Domain(kind="uniform", low=0, high=1)
    assert loaded.traced
    found = loaded.module(torch.rand(3, 320, 320))
    assert set(found) == {"boxes", "scores", "labels"}
    assert found["boxes"].shape[1:] == (4,)


def test_optical_flow_takes_two_images_and_gives_its_last_estimate():
    loaded = load("raft_small", weights="random")
    assert [each.name for each in loaded.inputs] == ["image1", "image2"]
    assert {each.dims for each in loaded.inputs} == {("batch", 3, 368, 496)}
    assert loaded.domains["image2"] == Domain(kind="uniform", low=-1, high=1)
    small = torch.rand(1, 3, 128, 128)
    with torch.inference_mode():
        assert loaded.module(small, small)["flow"].shape == (1, 2, 128, 128)


def test_inputs_that_are_stated_count_for_torchvision_too():
    wish = (parse_input("x:FP32:batch,3,64,64"),)
    loaded = load("squeezenet1_1", weights="random", inputs=wish)
    assert (loaded.inputs, loaded.asked) == (wish, True)


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("resnet5", "torchvision and timm have no model 'resnet5'", "resnet50"),
        ("torchvision:Resnet50", "torchvision has no model 'Resnet50'", "resnet50"),
        ("zzzzzz", "torchvision and timm have no model 'zzzzzz'", "model.onnx"),
        ("quantized_mobilenet_v2", "quantized kernels", "'mobilenet_v2'"),
    ],
)
def test_a_name_that_cannot_be_built_is_told(name, said, hint):
    error = refusal(name, weights="random")
    assert said in str(error)
    assert hint in error.hint


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Close the way to the network and empty torch's cache."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, CLOSED)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("urllib.request._opener", None)  # it keeps the proxies of its first use
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_a_download_that_fails_is_told_with_the_way_out(offline):
    error = refusal("squeezenet1_1")
    assert "cannot download the pretrained weights SqueezeNet1_1_Weights" in str(error)
    assert "Connection refused" in str(error)
    assert "--weights random" in error.hint
    assert socket.getdefaulttimeout() is None
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    assert list(offline.iterdir()) == []


@pytest.mark.parametrize("content", ["code", "damaged"])
def test_a_cached_file_that_is_damaged_or_runs_code_is_told(offline, monkeypatch, content):
    monkeypatch.chdir(offline)
    path = offline / "squeezenet1_1-b8a52dc0.pth"
    path.write_bytes(pickle.dumps(Bomb(), protocol=2) if content == "code" else b"damaged")
    error = refusal("squeezenet1_1")
    assert "the pretrained weights SqueezeNet1_1_Weights.IMAGENET1K_V1" in str(error)
    assert "lie in the cache but cannot be read" in str(error)
    assert str(offline.parent) in error.hint
    assert not Path("exploded").exists()


def test_cached_weights_need_no_network(offline):
    made = load("squeezenet1_1", weights="random", seed=5)
    torch.save(made.module.state_dict(), offline / "squeezenet1_1-b8a52dc0.pth")
    loaded = load("squeezenet1_1")
    assert loaded.weights_sha256 == made.weights_sha256
    assert loaded.weights == "pretrained SqueezeNet1_1_Weights.IMAGENET1K_V1"


def test_a_name_that_is_wrong_is_told_before_the_source_is_read():
    with pytest.raises(SpecError, match="cannot name a model"):
        sources.model_name(spec("resnet50", name="a/b"))


def test_arrays_of_examples_are_numpy():
    assert all(isinstance(each, np.ndarray) for each in load(f"{NETS}:scripted").examples.values())


def test_weights_of_a_parallel_training_lose_their_prefix(tmp_path):
    trained, module = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    state = {f"module.{name}": value for name, value in trained.state_dict().items()}
    torch.save(state, tmp_path / "trained.pt")
    weights.load_file(module, tmp_path / "trained.pt")
    assert torch.equal(module.weight, trained.weight)
    wrapped = torch.nn.ModuleDict({"module": torch.nn.Linear(2, 2)})
    weights.load_file(wrapped, tmp_path / "trained.pt")
    assert torch.equal(wrapped["module"].weight, trained.weight)


def test_a_module_that_is_not_there_is_told_with_a_hint():
    with pytest.raises(SourceError, match="cannot import nosuch_module") as caught:
        sources.load(ModelSpec(source="nosuch_module:f", target=release.find("24.10")))
    assert "install nosuch_module" in caught.value.hint
