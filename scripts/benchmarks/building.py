"""What a start and a build cost beside the bare tools, in seconds and in memory."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lines import Ratio, held, timed
from models import BIG, MLP

BARE_EXPORT = """
import sys, torch, torchvision
model = torchvision.models.resnet50(weights=None).eval()
program = torch.onnx.export(
    model, (torch.randn(2, 3, 224, 224),), dynamo=True, dynamic_shapes=({0: "batch"},)
)
program.save(sys.argv[1])
"""
BARE_BERT = """
import sys, torch, transformers
model = transformers.BertModel(transformers.BertConfig()).eval()
ids = torch.randint(0, 30522, (2, 16))
dims = {0: "batch", 1: "seq"}
program = torch.onnx.export(
    model, (ids, torch.ones_like(ids)), dynamo=True, dynamic_shapes=(dims, dims)
)
program.save(sys.argv[1])
"""


def help_start() -> Iterator[Ratio]:
    """Compare `tritonforge --help` with importing click."""
    ratios = []
    for _ in range(21):
        ours, _ = timed("tritonforge", "--help")
        bare, _ = timed(sys.executable, "-c", "import click")
        ratios.append(ours / bare)
    yield Ratio(what="tritonforge --help / import click, wall", ratios=tuple(ratios), goal=1.5)


def build() -> Iterator[Ratio]:
    """Compare a whole build of resnet50 with a bare export that proves nothing."""
    walls, peaks = over_bare("resnet50", BARE_EXPORT)
    yield Ratio(what="build resnet50 / bare dynamo export, wall", ratios=walls, goal=1.5)
    yield Ratio(what="build resnet50 / bare dynamo export, memory", ratios=peaks, goal=1.3)


def bert() -> Iterator[Ratio]:
    """Compare a whole build of a BERT of twelve layers with a bare export of it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text('{"model_type": "bert"}', "utf-8")
        walls, peaks = over_bare(f"hf:{folder}#feature-extraction", BARE_BERT)
    yield Ratio(what="build BERT / bare dynamo export, wall", ratios=walls, goal=1.5)
    yield Ratio(what="build BERT / bare dynamo export, memory", ratios=peaks, goal=1.5)


def over_bare(source: str, bare: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the ratios of wall and of memory of builds over a script that only exports."""
    walls, peaks = [], []
    with tempfile.TemporaryDirectory() as folder:
        command = ("tritonforge", "build", source, "--weights", "random", "--rebuild")
        for _ in range(3):
            wall, peak = timed(*command, "-r", f"{folder}/model_repository")
            bare_wall, bare_peak = timed(sys.executable, "-c", bare, f"{folder}/bare.onnx")
            walls.append(wall / bare_wall)
            peaks.append(peak / bare_peak)
    return tuple(walls), tuple(peaks)


def big() -> Iterator[Ratio]:
    """Compare the peak memory of builds of a model of 2.5 GB with its weights."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "large.py").write_text(BIG, "utf-8")
        repository = Path(folder, "model_repository")
        built = repository / "module" / "1" / "model.onnx"
        for name, source in (("module", f"{folder}/large.py:big"), ("file", str(built))):
            named = ("--name", name, "-r", str(repository), "--max-batch-size", "4")
            peak = held("tritonforge", "build", source, *named)
            weights = built.with_name("model.onnx.data").stat().st_size / 2**20
            yield Ratio(
                what=f"build of a {name} of {weights * 2**20 / 1e9:.2f} GB / weights, memory",
                ratios=(peak / weights,),
                goal=2.0,
            )


def unchanged() -> Iterator[Ratio]:
    """Measure how long twenty models take that have not changed, beyond what one alone takes."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("small.py").write_text(MLP, "utf-8")
        names = [f"model{number}" for number in range(20)]
        tables = "".join(f'[models.{name}]\nsource = "small.py:mlp"\n' for name in names)
        Path("tritonforge.toml").write_text(tables, "utf-8")
        timed("tritonforge", "build")
        seconds = [
            timed("tritonforge", "build")[0] - timed("tritonforge", "spec", names[0])[0]
            for _ in range(5)
        ]
        os.chdir("/")
    yield Ratio(what="20 unchanged models after start, seconds", ratios=tuple(seconds), goal=2.0)


def jobs() -> Iterator[Ratio]:
    """Compare forty small models built by two processes with the same forty by one."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "small.py")
        names = [f"mlp{number}" for number in range(40)]
        source.write_text(MLP + "".join(f"{name} = mlp\n" for name in names), "utf-8")
        models = [f"{source}:{name}" for name in names]
        for pair in range(3):
            seconds = [
                timed("tritonforge", "build", *models, "-j", jobs, "-r", f"{folder}/{pair}-{jobs}")[
                    0
                ]
                for jobs in ("1", "2")
            ]
            ratios.append(seconds[0] / seconds[1])
    yield Ratio(
        what=f"40 small models, -j 1 / -j 2 on {len(os.sched_getaffinity(0))} cores, wall",
        ratios=tuple(ratios),
        goal=1.5,
        at_least=True,
    )
