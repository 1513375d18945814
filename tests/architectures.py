"""Architectures of torchvision, timm and transformers: built, served, and compared.

Each has random weights, and sizes as small as the architecture allows. What comes through is in a
table, and of each that does not the cause.
"""

import gc
import json
import re
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tinyconfigs
import torch

from tritonforge import gate, release, server, toolchain
from tritonforge.build import build
from tritonforge.errors import ForgeError
from tritonforge.parity import Wish, parity
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec, parse_input
from tritonforge.toolchain import Toolchain

TARGET = release.find(release.EMBEDDED)
TABLE = Path(__file__).with_name("architectures.tsv")
PAGE = Path(__file__).parents[1] / "docs" / "architectures.md"
TOGETHER = 6  # models in one server, each with a process of its own
LONGEST = 600  # seconds that one may take, also on a busy machine
_RANDOM = "the model draws random numbers, so that no two runs agree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One architecture: its library and name there, the class or task, and what makes it small."""

    library: str
    name: str
    task: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    trained: bool = False  # whether its normalisations see some noise first, so that scores differ

    @property
    def key(self) -> str:
        """Return what it is called in the table."""
        return f"{self.library}:{self.name}" + (f"#{self.task}" if self.task else "")

    @property
    def model(self) -> str:
        """Return its name in a repository."""
        return self.key.translate(str.maketrans(":#/.", "____"))


_CLASSIFIERS = """
alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t
mnasnet0_5 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large regnet_x_400mf regnet_y_400mf
resnet18 resnet50 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_1 swin_t swin_v2_t vgg11 vit_b_16
deeplabv3_mobilenet_v3_large fcn_resnet50 lraspp_mobilenet_v3_large mc3_18 r2plus1d_18 r3d_18
swin3d_t quantized_mobilenet_v2 resnet34 squeezenet1_0 shufflenet_v2_x1_0 regnet_x_800mf mnasnet1_0
s3d resnet101 densenet169 efficientnet_b1 shufflenet_v2_x1_5 regnet_y_800mf
mnasnet0_75
"""
_IMAGE = "input:FP32:batch,3,96,96"  # of those that take any size
_OWN_SIZE = "maxvit_t vit_b_16 quantized_mobilenet_v2"
_CLIPS = {"mc3_18": "8,64,64", "r2plus1d_18": "8,64,64", "r3d_18": "8,64,64", "swin3d_t": "8,64,64"}
_CLIPS |= {"s3d": "16,224,224"}  # frames and sides
_DEAR = "maxvit_t vit_b_16 raft_small s3d vgg11"  # of which a batch of two has to do
# Strips of so many pixels are not enlarged: the longest side is as long as it may be.
_DETECTORS = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": "32,640",
    "fasterrcnn_mobilenet_v3_large_fpn": "32,1333",
    "fasterrcnn_resnet50_fpn": "32,1333",
    "fcos_resnet50_fpn": "32,1333",
    "keypointrcnn_resnet50_fpn": "32,1333",
    "maskrcnn_resnet50_fpn": "32,1333",
    "retinanet_resnet50_fpn": "32,1333",
    "ssd300_vgg16": "96,128",
    "ssdlite320_mobilenet_v3_large": "96,128",
}
# The last layers of their heads; those that score each class by itself, and those that choose one.
_HEADS = re.compile(r"cls_|bbox_|(classification|regression)_head\.module_list")
_SIGMOID, _SOFTMAX = "classification_head.cls_logits", "cls_score"
_OF_SCORES, _OF_BOXES, _FEW = 2.0, 0.2, 5  # deviations, and how many score high
_TIMM = """
cait_xxs24_224 convit_tiny convnext_zepto_rms cs3darknet_focus_s davit_tiny deit_tiny_patch16_224
densenet121 edgenext_xx_small efficientformer_l1 efficientformerv2_s0 efficientvit_b0
efficientvit_m0 ese_vovnet19b_slim_dw eva02_tiny_patch14_224 fasternet_t0 fastvit_t8
focalnet_tiny_srf ghostnet_050 gmlp_ti16_224 hgnetv2_b0 hiera_tiny_224 inception_next_atto
levit_128s mambaout_femto mobilenetv3_small_050 mobileone_s1 mobilevit_xxs mvitv2_tiny pit_ti_224
poolformerv2_s12 pvt_v2_b0 repghostnet_050 repvit_m1 resnest14d resnet10t resnetv2_18 starnet_s050
swiftformer_xs swin_tiny_patch4_window7_224 tiny_vit_5m_224 xcit_nano_12_p8_224
test_byobnet test_coatnet test_convnext test_efficientnet test_efficientnet_evos test_mambaout
test_maxvit test_nfnet test_resnet test_vit test_vit_relpos
"""
_TRANSFORMERS = """
albert bart bert#fill-mask bloom clip clip_text_model clip_vision_model convbert deberta deberta-v2
distilbert#token-classification electra falcon fnet gemma gemma3_text gpt2#text-generation gptj
layoutlm led lilt llama#text-generation longformer marian mistral mixtral modernbert mpnet
nomic_bert opt phi qwen2 qwen3#text-generation roberta#text-classification roformer squeezebert t5
t5#T5EncoderModel xlm-roberta#token-classification electra#text-classification canine gpt_neox
stablelm olmo cohere granite starcoder2 biogpt xglm codegen
mbart pegasus rembert mobilebert megatron-bert
beit convnext cvt deit dinov2 dpt hiera mobilevit resnet segformer swin swinv2
vit#image-classification vit_mae yolos#object-detection convnextv2 regnet poolformer
dinov2_with_registers
blip siglip vilt layoutlmv3
audio-spectrogram-transformer hubert speech_to_text wav2vec2 wavlm whisper patchtst
xlnet clap
"""
# What is said by --input, as the error asks for.
_STATED = {"patchtst": ("past_values:FP32:batch,32,1",)}
_FITTING: dict[str, dict[str, Any]] = {
    "lilt": {"hidden_size": 48},
    "clap": {
        "audio_config": {
            "model_type": "clap_audio_model",
            "spec_size": 64,
            "patch_embeds_hidden_size": 16,
            "hidden_size": 128,
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [2, 2, 2, 2],
            "window_size": 2,
        }
    },
    "speech_to_text": {"max_source_positions": 256},  # a quarter of the frames
    "yolos": {"image_size": [64, 96]},
    "swin": {"image_size": 224, "patch_size": 4},
    "swinv2": {"image_size": 224, "patch_size": 4, "window_size": 7},
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4},
}


def listed() -> list[Architecture]:
    """Return all of them, by library."""
    torchvision = [
        *(
            Architecture(library="torchvision", name=name, inputs=_image(name))
            for name in _CLASSIFIERS.split()
        ),
        *(
            Architecture(
                library="torchvision", name=name, inputs=(f"input:FP32:3,{sides}",), trained=True
            )
            for name, sides in _DETECTORS.items()
        ),
        *(
            Architecture(
                library="torchvision",
                name=name,
                inputs=("image1:FP32:batch,3,128,128", "image2:FP32:batch,3,128,128"),
            )
            for name in ("raft_small",)
        ),
    ]
    timm = [*map(_timm, _TIMM.split())]
    return [*torchvision, *timm, *map(_transformers, _TRANSFORMERS.split())]


def _image(name: str) -> tuple[str, ...]:
    """Return the small image, or clip, that an architecture of torchvision takes, if it does."""
    if name in _CLIPS:
        return (f"input:FP32:batch,3,{_CLIPS[name]}",)
    return () if name in _OWN_SIZE.split() else (_IMAGE,)


def _timm(name: str) -> Architecture:
    """Return an architecture of timm, of small images where it takes any size."""
    import timm

    fixed = timm.get_pretrained_cfg(name).fixed_input_size
    return Architecture(library="timm", name=name, inputs=() if fixed else (_IMAGE,))


def _transformers(text: str) -> Architecture:
    """Return an architecture of transformers, written as its kind and the task."""
    kind, _, task = text.partition("#")
    return Architecture(
        library="hf",
        name=kind,
        task=task,
        config=_FITTING.get(kind, {}),
        inputs=_STATED.get(kind, ()),
    )


def through(
    several: list[Architecture], folder: Path, tools: Toolchain
) -> Iterator[tuple[Architecture, str, float]]:
    """Build, serve and compare each; yield why it does not come through, and the seconds.

    The cause is empty where it does.
    """
    torch.set_num_threads(1)  # two wait for each other where the machine has other work
    for start in range(0, len(several), TOGETHER):
        repository = Repository(folder / f"repository_{start}")
        built: list[tuple[Architecture, float]] = []
        for each in several[start : start + TOGETHER]:
            began = time.monotonic()
            said = _built(each, folder, repository)
            if said:
                yield each, f"build: {said}", time.monotonic() - began
            else:
                built.append((each, time.monotonic() - began))
        if not built:
            continue
        with server.serving(repository.path, tools) as endpoint:
            for each, took in built:
                began = time.monotonic()
                said = _compared(each, repository, endpoint)
                yield each, said and f"serve: {said}", took + time.monotonic() - began


def _built(each: Architecture, folder: Path, repository: Repository) -> str:
    """Build one; say why it cannot be."""
    try:
        with _bounded(LONGEST):
            build(_spec(each, folder), repository)
    except ForgeError as error:
        return _RANDOM if "gives other values each time" in (error.hint or "") else error.message
    except _TooLongError:
        return f"it takes longer than {LONGEST} s"
    finally:
        torch._dynamo.reset()
        gc.collect()
    return ""


def _compared(each: Architecture, repository: Repository, endpoint: Any) -> str:
    """Compare what the server gives; say how it differs."""
    try:
        with _bounded(LONGEST):
            (report,) = parity(
                repository, (each.model,), Wish(), endpoint=endpoint, rehearsed=lambda _: None
            )
    except ForgeError as error:
        return error.message
    except _TooLongError:
        return f"it takes longer than {LONGEST} s"
    wrong = [check for check in report.checks if not check.passed]
    said = [
        f"{check.name} over {check.protocol}: "
        + (gate.summary(check.report) if check.report is not None else check.refused or "")
        for check in wrong
    ]
    said += [f"{name!r} was always empty, nothing compared" for name in report.uncompared]
    return "; ".join(said)


def _spec(each: Architecture, folder: Path) -> ModelSpec:
    """Say what is wished of one."""
    source, weights = f"{each.library}:{each.name}", "random"
    if each.library == "hf":
        place = folder / each.model
        place.mkdir()
        said = tinyconfigs.small(each.name, **each.config)
        (place / "config.json").write_text(json.dumps(said))
        source = f"hf:{place}" + (f"#{each.task}" if each.task else "")
    if each.trained:
        weights = str(_trained(each.name, folder / f"{each.model}.pt"))
    inputs = tuple(parse_input(text) for text in each.inputs)
    return ModelSpec(
        source=source,
        target=TARGET,
        name=each.model,
        weights=weights,
        max_batch_size=2 if each.name in _DEAR.split() else 4,
        inputs=inputs,
    )


def _trained(name: str, path: Path) -> Path:
    """Write random weights of a detector that has seen noise, and whose scores differ.

    Without that all features vanish, all scores are the same and any order of them is right; or
    all lie below the threshold, nothing is found, and nothing would be compared.
    """
    from torchvision import models

    torch.manual_seed(0)
    module = models.get_model(name, weights=None, weights_backbone=None).eval()
    for called, part in module.named_modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.train()
            part.momentum = None
        elif _HEADS.search(called) and getattr(part, "bias", None) is not None:
            part.register_forward_hook(_spreading(called))
    noise = torch.rand(2, 3, *map(int, _DETECTORS[name].split(",")))
    with torch.no_grad():
        module([*noise])
    torch.save(module.state_dict(), path)
    return path


def _spreading(called: str) -> Any:
    """Return a hook that gives the first output of a layer, and so its weights, a wide spread.

    Of all places a few alone score high.
    """
    seen = []

    def hook(layer: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        if seen:
            return output
        seen.append(layer)
        values = output.movedim(1, -1).flatten(0, -2)
        mean = values.mean(0)
        factor = (_OF_BOXES if "bbox_" in called else _OF_SCORES) / (values - mean).std()
        scores = (values - mean) * factor
        layer.weight *= factor
        layer.bias.sub_(mean).mul_(factor)
        if called.endswith(_SIGMOID):
            layer.bias -= scores.flatten().topk(_FEW).values[-1] + 1.5
        elif called.endswith(_SOFTMAX):  # where the first class is that there is nothing
            above = scores[:, 1:].amax(1) - scores[:, 0]
            layer.bias[0] += above.topk(_FEW).values[-1] + 1.5
        again: torch.Tensor = layer(*inputs)
        return again

    return hook


class _TooLongError(BaseException):
    """It takes too long; no exporter goes on after this, as it would after an `Exception`."""


@contextmanager
def _bounded(seconds: int) -> Iterator[None]:
    """Raise `_TooLongError` where it takes longer."""

    def stop(*_: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read_table() -> dict[str, str]:
    """Return the cause of each that is known not to come through, by key; empty where it does."""
    return {key: cause for key, cause, _ in rows()}


def page() -> str:
    """Print the table as the documentation shows it."""
    parts = [_PAGE]
    for library, title in _TITLES.items():
        told = [each for each in rows() if each[0].startswith(f"{library}:")]
        passed = [key.partition(":")[2] for key, cause, _ in told if not cause]
        parts.append(f"\n## {title}: {len(passed)} of {len(told)}\n\n")
        parts.append("\n".join(textwrap.wrap(", ".join(f"`{key}`" for key in passed), 100)) + "\n")
        failed = [(key.partition(":")[2], cause) for key, cause, _ in told if cause]
        if failed:
            parts.append("\n| does not come through | because |\n|---|---|\n")
            parts += [f"| `{key}` | {cause.replace('|', ' ')} |\n" for key, cause in failed]
    return "".join(parts)


def rows() -> list[tuple[str, str, str]]:
    """Return what the table says: key, cause and seconds."""
    if not TABLE.is_file():
        return []
    lines = (line for line in TABLE.read_text("utf-8").splitlines() if line[:1] not in {"", "#"})
    return [tuple(line.split("\t")) for line in lines]  # type: ignore[misc]


def write_table(keys: list[str]) -> None:
    """Run those that are named, all where none is, and write their rows."""
    wanted = [each for each in listed() if not keys or each.key in keys]
    with tempfile.TemporaryDirectory() as place:
        for each, cause, seconds in through(wanted, Path(place), toolchain.own(TARGET)):
            sys.stdout.write(f"{each.key}\t{cause}\t{seconds:.0f}\n")
            sys.stdout.flush()
            found = {key: (cause, took) for key, cause, took in rows()}
            found[each.key] = (cause, f"{seconds:.0f}")
            known = [one.key for one in listed() if one.key in found]
            lines = (f"{key}\t{found[key][0]}\t{found[key][1]}\n" for key in known)
            TABLE.write_text(_HEAD + "".join(lines), "utf-8")


_TITLES = {"torchvision": "torchvision", "timm": "timm", "hf": "transformers"}
_PAGE = """\
# Architectures

Each of these is built with random weights at the opset of 24.10, served by the embedded server and
compared with the model itself by `scripts/test --slow`; those of transformers from a folder with
nothing but a small `config.json`, behind `#` the task or class. Of each that does not come through
the cause is told. Detectors have weights by which they find something: where an output was empty in
every sample nothing was compared, and that counts as a failure. Images are small where an
architecture takes any size; those that would take many minutes on one core of a CPU are not listed
(torchvision's `mvit_*` and the larger of each family). `scripts/architectures` runs them and writes
this page.
"""
_HEAD = "# What comes through a build, a server and parity: name, else the cause, seconds.\n"

if __name__ == "__main__":
    write_table(sys.argv[1:])
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
