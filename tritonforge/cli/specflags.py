"""The flags that say what is wished of a model, and the file that they are laid over."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, parsed

if TYPE_CHECKING:
    from tritonforge.specfile import Effective, SpecFile
    from tritonforge.standing import Standing

spec_file = click.option(
    "-f",
    "--file",
    "spec_file",
    type=parsed.FILE,
    is_eager=True,
    help="The file of specs; without it this folder's tritonforge.toml, where there is one.",
)
env = click.option(
    "--env",
    is_eager=True,
    envvar="TRITONFORGE_ENV",
    metavar="NAME",
    help="Lay [env.NAME] of the file over it.",
)

_OPTIONS = (
    options.target,
    click.option(
        "--weights",
        default="default",
        show_default=True,
        metavar="default|random|FILE",
        help="Pretrained (default), random by --seed, or a state dict (.pt, .safetensors).",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of random weights."),
    click.option(
        "--input",
        "inputs",
        multiple=True,
        type=parsed.INPUT,
        help="An input, such as ids:INT64:batch,seq; a name is a dynamic dimension. Repeatable.",
    ),
    click.option(
        "--range",
        "ranges",
        multiple=True,
        type=parsed.RANGE,
        callback=options.once,
        help="The sizes of a dynamic dimension, such as seq=1..512. Repeatable.",
    ),
    click.option(
        "--domain",
        "domains",
        multiple=True,
        type=parsed.DOMAIN,
        callback=options.once,
        help="What an input holds: ids=0..30000, x=0.0..1.0, m=mask or x=normal. Repeatable.",
    ),
    click.option(
        "--sample",
        "samples",
        multiple=True,
        type=parsed.FILE,
        help="Recorded inputs to prove with, in place of drawn ones: an .npz file, or a folder of "
        "ONNX test data (input_0.pb). Repeatable.",
    ),
    click.option(
        "--max-batch-size",
        type=click.IntRange(min=0),
        default=16,
        show_default=True,
        help="The largest batch; 0 for none.",
    ),
    click.option(
        "--accelerator",
        type=click.Choice(["auto", "cpu", "cuda", "tensorrt", "openvino"]),
        default="cpu",
        show_default=True,
        help="What the model is to run on; it decides the opset. auto decides by --device, the "
        "model's size and its placement, and says why.",
    ),
    click.option(
        "--device",
        type=click.Choice(["cpu", "gpu"]),
        help="What the server will have; --accelerator auto needs to know.",
    ),
    click.option("--cores", type=click.IntRange(min=1), help="CPU cores the server will have."),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "fp16", "bf16", "int8"]),
        default="fp32",
        show_default=True,
        help="What TensorRT may compute in.",
    ),
    click.option(
        "--bake/--no-bake",
        default=False,
        help="Write --precision fp16 into the file, as TensorRT 11 (26.06) demands.",
    ),
    click.option(
        "--keep-float",
        type=parsed.NAMES,
        default="",
        metavar="NODE,…",
        help="Nodes that stay in float where half floats are written.",
    ),
    click.option(
        "--label",
        "labels",
        multiple=True,
        type=parsed.LABELS,
        callback=options.once,
        help="Class names of an output, one a line of a file: probs=classes.txt. Repeatable.",
    ),
    click.option(
        "--state",
        "states",
        multiple=True,
        type=parsed.STATE,
        callback=options.once,
        help="An input that is an output of the request before in its sequence: h0:h1. Repeatable.",
    ),
    click.option(
        "--warmup",
        type=click.Choice(["none", "zero", "random", "golden"]),
        help="What the server runs before it is ready, for every batch bucket and corner of the "
        "ranges; on a GPU random is the default.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        type=parsed.SETTING,
        help="Any key of tritonforge.toml, such as dynamic_batching.max_queue_delay_microseconds="
        "100. Repeatable.",
    ),
    click.option(
        "--opset", type=int, help="The opset, instead of the one where it keeps its kernels."
    ),
    click.option(
        "--max-cpu-nodes",
        type=click.IntRange(min=0),
        metavar="N",
        help="Fail where more nodes than this would run on the CPU for want of a CUDA kernel; "
        "shapes that CUDA computes on the host are not counted.",
    ),
    click.option(
        "--allow-cpu",
        type=parsed.NAMES,
        default="",
        metavar="OP,…",
        help="Operators that --max-cpu-nodes does not count, such as Cast,Where.",
    ),
    click.option(
        "--exporter",
        type=click.Choice(["auto", "dynamo", "torchscript"]),
        default="auto",
        show_default=True,
        help="Which of torch's exporters; auto tries both and says which it took.",
    ),
    click.option(
        "--external-data/--no-external-data",
        default=None,
        help="Put weights into one file beside the model's, model.onnx.data; by itself where the "
        "model would be over 2 GiB.",
    ),
    click.option(
        "--templates",
        type=parsed.FILE,
        help="A folder whose config.pbtxt.j2 goes before ours; it runs in a sandbox.",
    ),
    options.tolerance,
    options.sample_seed,
)


def every(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of a spec, and those of its file."""
    for option in reversed((spec_file, env, *_OPTIONS)):
        function = option(function)
    return function


def listed(file: "SpecFile | None", env: str | None) -> tuple[str, ...]:
    """Name the models of the file; a usage error where there is none."""
    from tritonforge.specfile import FILE

    if file is None:
        raise click.UsageError(f"name a SOURCE, or write a {FILE}: tritonforge init SOURCE")
    file.check_env(env)
    names = file.models(env)
    if not names:
        raise click.UsageError(f"{file.path} has no [models.NAME]: add one, or name a SOURCE")
    return names


def standing(found: "Effective", *, update: bool, keep: bool) -> "Standing":
    """Say what becomes of a config that differs: what the file declares is asked for by it."""
    if update or keep:
        return "update" if update else "keep"
    return "follow" if found.listed else "stop"
