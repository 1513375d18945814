"""Models of timm: named, made, described, refused, and built."""

import subprocess
import sys

import pytest
import safetensors.torch
import timm
from loading import load, refusal

from tritonforge import release, sources
from tritonforge.build import build
from tritonforge.errors import SourceError
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec
from tritonforge.tensors import DType, TensorSpec


def test_a_model_says_what_timm_knows_of_it():
    loaded = load("timm:test_vit.r160_in1k", weights="random")
    wanted = TensorSpec(name="input", dtype=DType.FP32, dims=("batch", 3, 160, 160))
    assert (loaded.inputs, loaded.asked) == ((wanted,), False)
    assert not loaded.module.training
    assert len(loaded.labels) == 1000
    assert loaded.labels[0] == "tench, Tinca tinca"
    assert loaded.weights == "random, seed 0"
    assert loaded.versions["timm"] == timm.__version__
    assert loaded.notes == ()
    (facts,) = loaded.preprocessing.values()
    assert facts["crop"] == [160, 160]
    assert facts["resize"] == [168]
    assert (facts["interpolation"], facts["crop_mode"]) == ("bicubic", "center")
    assert facts["mean"] == [0.5, 0.5, 0.5]
    domain = loaded.domains["input"]
    assert (domain.low, domain.high) == (-1.0, 1.0)


def test_the_seed_makes_the_weights():
    first, again, other = (load("timm:test_vit", weights="random", seed=seed) for seed in (0, 0, 1))
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256


def test_weights_come_from_a_file(tmp_path):
    made = load("timm:test_resnet", weights="random", seed=3)
    safetensors.torch.save_file(made.module.state_dict(), tmp_path / "w.safetensors")
    again = load("timm:test_resnet", weights=str(tmp_path / "w.safetensors"))
    assert again.weights_sha256 == made.weights_sha256


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("resnet18", "torchvision:resnet18"),
        ("test_vit", "timm:test_vit"),
        ("test_vit.r160_in1k", "timm:test_vit.r160_in1k"),
    ],
)
def test_a_bare_name_is_torchvisions_then_timms_and_says_so(name, whose):
    assert load(name, weights="random").notes == (f"{name} is taken from {whose}",)
    sources.check(name)
    assert not sources.is_a_file(name)


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("timm:resnet5", "timm has no model 'resnet5'", "did you mean 'resnet50'?"),
        ("timm:resnet50.a9", "timm has no weights 'a9' of 'resnet50'", "it has a1_in1k, "),
        ("timm:botnet50ts_256", "no pretrained weights for 'botnet50ts_256'", "--weights random"),
        ("test_vitt", "torchvision and timm have no model 'test_vitt'", "mean 'test_vit'?"),
    ],
)
def test_a_name_that_cannot_be_built_is_told(name, said, hint):
    error = refusal(name)
    assert said in str(error)
    assert hint in error.hint


def test_a_download_that_fails_is_told_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    error = refusal("timm:test_vit")
    assert "cannot download timm's pretrained weights of 'test_vit'" in str(error)
    assert "--weights random" in error.hint


WITHOUT = """
import sys
for name in sys.argv[2].split(","):
    sys.modules[name] = None
from tritonforge import release, sources
from tritonforge.spec import ModelSpec
try:
    sources.load(ModelSpec(source=sys.argv[1], target=release.find("24.10"), weights="random"))
except sources.SourceError as error:
    print(error.message, "|", error.hint)
"""


@pytest.mark.parametrize(
    ("source", "gone", "said"),
    [
        (
            "timm:test_vit",
            "timm",
            "needs timm, which is not installed | pip install 'tritonforge[timm]'",
        ),
        ("test_vit", "timm", "torchvision has no model 'test_vit' | timm may have it: pip install"),
        ("test_vit", "timm,torchvision", "needs torch, which is not installed | pip install"),
    ],
)
def test_a_library_that_is_missing_is_told_with_the_way_to_it(source, gone, said):
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT, source, gone],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert said in ended.stdout


@pytest.mark.parametrize("name", ["test_vit", "test_byobnet"])
def test_a_model_is_built_and_its_facts_are_kept(name, tmp_path):
    repository = Repository(tmp_path / "models")
    spec = ModelSpec(
        source=f"timm:{name}", target=release.find("24.10"), weights="random", max_batch_size=4
    )
    built = build(spec, repository)
    assert built.unbatched is None
    assert built.manifest.preprocessing["input"]["kind"] == "image"
    labels = (repository.path / built.name / "labels.txt").read_text("utf-8").splitlines()
    assert len(labels) == 1000


def test_a_name_of_no_library_is_told_before_anything_is_loaded():
    with pytest.raises(SourceError, match="no model 'test_vitt'"):
        sources.check("test_vitt")
