"""`tritonforge toolchain`: the environment that holds the real server and perf_analyzer."""

from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def command() -> None:
    """Install, show or remove the real server and perf_analyzer.

    They are installed on first need, into the user's cache.
    """


@command.command()
def install() -> None:
    """Install them now, where they are not yet, and print where they lie."""
    from tritonforge import toolchain

    with output.progress() as progress:
        found = toolchain.find(progress=progress)
    click.echo(found.root)


@command.command()
@options.output_format
def show(output_format: str) -> None:
    """Show what is installed and where."""
    from tritonforge import toolchain

    found = toolchain.installed()
    facts: dict[str, Any] = {"installed": found is not None}
    if found is not None:
        facts |= {
            "release": found.release,
            "triton": found.triton,
            "onnxruntime": found.onnxruntime,
            "python": found.python,
            "interpreter": str(found.interpreter),
            "tritonserver": str(found.tritonserver),
            "perf_analyzer": str(found.perf_analyzer),
            "environment": str(found.root),
            "size_mib": _size(found.root) >> 20,
        }
    if output_format == "json":
        output.as_json(facts)
        return
    output.table(("what", "value"), [(key, str(value)) for key, value in facts.items()], left=2)
    if found is None:
        click.echo("`tritonforge toolchain install` installs it; so does the first need.", err=True)


@command.command()
def remove() -> None:
    """Delete them; the next need installs them again."""
    from tritonforge import toolchain

    with output.progress() as progress:
        place = toolchain.remove(progress=progress)
    click.echo(f"removed from {place}" if place else "nothing is installed", err=True)


def _size(root: "Path") -> int:
    """Return the bytes that a folder's files take; links are not followed."""
    return sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir())
