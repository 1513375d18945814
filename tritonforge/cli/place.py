"""`tritonforge place`: where each node of a model lands."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output
from tritonforge.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from tritonforge.cli import placed
    from tritonforge.placement import Placement
    from tritonforge.release import Release
    from tritonforge.repository import Repository


@click.command()
@options.model
@options.repository_of_model
@options.model_version
@options.targets
@click.option(
    "--accelerator",
    type=click.Choice(["cpu", "cuda", "tensorrt", "openvino"]),
    default="cuda",
    show_default=True,
    help="The provider that is asked first, as in a config; what it leaves goes to the next one. "
    "Nothing is foretold of openvino: it takes --observe.",
)
@click.option(
    "--observe",
    is_flag=True,
    help="Open a session of a real ONNX Runtime and show what it does beside what was foretold.",
)
@options.size
@click.option("--nodes", "every", is_flag=True, help="List every node, not only those elsewhere.")
@options.output_format
@click.pass_context
def command(
    context: click.Context,
    model: str,
    model_repository: "Repository",
    model_version: int | None,
    targets: "tuple[Release, ...] | None",
    accelerator: str,
    observe: bool,
    sizes: tuple[tuple[str, int], ...],
    every: bool,
    output_format: str,
) -> None:
    """Foretell which execution provider each node of MODEL lands on, and why not the chosen one.

    MODEL is a name in the repository or an .onnx file. What is foretold comes from the kernels that
    the release's ONNX Runtime registers, and takes no GPU. Exit code 1 says that the release does
    not load the model.
    """
    from tritonforge.cli import placed, placedtables

    path = options.model_file(model, model_repository, model_version)
    if targets is not None and len(targets) > 1:
        if observe:
            raise click.UsageError("--observe asks one ONNX Runtime, --target all names many")
        if every:
            raise click.UsageError("--nodes lists those of one release, --target all names many")
        _foretold(accelerator)
        _all(path, targets, accelerator, dict(sizes), output_format)
        return
    if observe:
        answer = _observed(path, targets, accelerator, dict(sizes))
    else:
        _foretold(accelerator)
        answer = placed.Answer(placement=_one(path, targets, accelerator, dict(sizes)))
    if output_format == "json":
        output.as_json({"path": str(path), **placed.document(answer)})
    else:
        click.echo(path)
        placedtables.show(answer, every=every)
    context.exit(0 if answer.loads else 1)


def _foretold(accelerator: str) -> None:
    """Refuse what no table foretells."""
    if accelerator == "openvino":
        raise SpecError(
            "nothing is foretold of OpenVINO: it asks its own plugins, which no table lists",
            hint="add --observe, with onnxruntime-openvino installed in place of onnxruntime",
        )


def _one(
    path: "Path", targets: "tuple[Release, ...] | None", accelerator: Any, sizes: dict[str, int]
) -> "Placement":
    """Foretell one release's, the embedded one's by default."""
    from tritonforge import placement, release

    chosen = targets or (release.find(release.EMBEDDED),)
    return next(placement.place(path, chosen, accelerator, sizes))


def _observed(
    path: "Path", targets: "tuple[Release, ...] | None", accelerator: Any, sizes: dict[str, int]
) -> "placed.Answer":
    """Ask a session, and foretell the same ONNX Runtime's where that can be."""
    from tritonforge import placement, release
    from tritonforge.cli import placed
    from tritonforge.graph import named

    runtime = placement.at_hand(targets[0] if targets else None)
    with ExitStack() as opened:
        progress = opened.enter_context(output.progress())
        progress(f"opening a session of ONNX Runtime {runtime.version}")
        file = opened.enter_context(named(path))
        seen = placement.observe(file, accelerator, runtime)
    if accelerator == "openvino":
        return placed.Answer(observation=seen, accelerator=accelerator)
    target = targets or (release.find(f"{release.RUNTIME}{runtime.version}"),)
    return placed.Answer(placement=_one(path, target, accelerator, sizes), observation=seen)


def _all(
    path: "Path",
    targets: "tuple[Release, ...]",
    accelerator: Any,
    sizes: dict[str, int],
    output_format: str,
) -> None:
    """Print a line for each release, the oldest first."""
    from tritonforge import placement
    from tritonforge.cli import placed, placedtables

    found = []
    with output.progress() as progress:
        progress(f"reading {path.name}")
        for each in placement.place(path, targets, accelerator, sizes):
            found.append(each)
            progress(f"foretold {each.release.tag}", len(found) / len(targets))
    if output_format == "json":
        output.as_json({"path": str(path), "targets": [placed.brief(each) for each in found]})
        return
    click.echo(path)
    placedtables.show_all(found)
