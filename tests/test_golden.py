"""Whole configs for each accelerator and release, kept as files that a person can read.

`python tests/test_golden.py` writes them anew.
"""

import tempfile
from pathlib import Path

import pytest

from tritonforge import gate, knobs, pbtxt, release, rules
from tritonforge.configuring import configure
from tritonforge.proving import Proof
from tritonforge.repository import Stage
from tritonforge.spec import Domain, ModelSpec, Range
from tritonforge.tensors import DType, Signature, TensorSpec

FOLDER = Path(__file__).parent / "golden"
NEWEST = [each.release.tag for each in release.images() if each.release is not None][-1]
TAGS = ("22.12", "23.10", "24.03", "24.04", "24.10", "25.06", "26.05", "26.06", NEWEST)
ACCELERATORS = ("tensorrt", "cuda", "openvino")
TOKENS = Signature(
    inputs=tuple(
        TensorSpec(name=name, dtype=DType.INT64, dims=("batch", "seq")) for name in ("ids", "mask")
    ),
    outputs=(TensorSpec(name="logits", dtype=DType.FP32, dims=("batch", 2)),),
)
PROOF = Proof(
    report=gate.GateReport(samples=1, outputs=()),
    signature=TOKENS,
    max_batch_size=32,
    unbatched=None,
    golden=({}, {}),
    steady=True,
    notes=(),
)


def wish(accelerator, tag):
    """Wish for all that a release takes."""
    target = release.find(tag)
    options = {}
    if accelerator == "tensorrt":
        level = {"trt_builder_optimization_level": "4", "max_workspace_size_bytes": "4294967296"}
        options["tensorrt"] = {
            key: value for key, value in level.items() if key in knobs.tensorrt_keys(target)
        }
        options |= {"precision": "fp16", "profiles": ({"seq": Range(high=64)}, {})}
    if accelerator == "cuda":
        inner = {"use_tf32": "0"} if "use_tf32" in knobs.cuda_options(target) else {}
        options["cuda"] = {"cudnn_conv_algo_search": "HEURISTIC", "gpu_mem_limit": "4000000000"}
        options["cuda"] |= inner
    return ModelSpec(
        source="bert.onnx",
        target=target,
        accelerator=accelerator,
        ranges=(("seq", Range(high=256, opt=128)),),
        config={"dynamic_batching": {"max_queue_delay_microseconds": 500}},
        **options,
    )


def made(accelerator, tag):
    """Configure the model for a release."""
    drawn = {"ids": Domain(kind="integers", low=0, high=30522), "mask": Domain(kind="mask")}
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(path=Path(folder))
        return configure("bert", wish(accelerator, tag), PROOF, (), drawn, 10**10, stage)


every = pytest.mark.parametrize(
    ("accelerator", "tag"), [(one, tag) for one in ACCELERATORS for tag in TAGS]
)


@every
def test_the_config_of_a_release_is_the_one_that_was_read(accelerator, tag):
    path = FOLDER / accelerator / f"{tag}.pbtxt"
    found = made(accelerator, tag)
    assert found.text == path.read_text("utf-8"), "python tests/test_golden.py"
    assert pbtxt.parse(found.text) == found.message


@every
def test_every_key_is_one_that_the_release_takes_to_an_effect(accelerator, tag):
    target = release.find(tag)
    message = pbtxt.parse((FOLDER / accelerator / f"{tag}.pbtxt").read_text("utf-8"))
    told = message.optimization.execution_accelerators.gpu_execution_accelerator
    taken = {"tensorrt": knobs.tensorrt_keys(target), "cuda": knobs.cuda_options(target)}
    for each in told:
        for key in each.parameters:
            assert key in taken[each.name]
            assert not taken[each.name][key].idle(target)
    assert set(message.parameters) <= set(knobs.parameters(target))
    assert not [*rules.broken(rules.OF_CONFIGS, rules.Config(message=message, release=target))]


def test_there_are_no_other_files():
    assert sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.pbtxt")) == sorted(
        f"{accelerator}/{tag}.pbtxt" for accelerator in ACCELERATORS for tag in TAGS
    )


if __name__ == "__main__":
    for accelerator in ACCELERATORS:
        (FOLDER / accelerator).mkdir(parents=True, exist_ok=True)
        for tag in TAGS:
            text = made(accelerator, tag).text
            (FOLDER / accelerator / f"{tag}.pbtxt").write_text(text, "utf-8")
