"""`tritonforge toolchain`: the environment that holds the real server and perf_analyzer."""

from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output, parsed

if TYPE_CHECKING:
    from pathlib import Path

    from tritonforge.release import Release
    from tritonforge.toolchain.survey import Survey


@click.group()
def command() -> None:
    """Install, show or remove the real server and perf_analyzer.

    They are installed on first need, into the user's cache or where TRITONFORGE_TOOLCHAIN says. A
    tritonserver or a newer perf_analyzer on PATH is used instead, unless that is set.
    """


@command.command()
@options.served_by
@click.option(
    "--find-links",
    type=parsed.FILE,
    metavar="DIR",
    help="Take the wheels from this folder alone, without a network; where it lacks one, the error "
    "is the command that fetches it.",
)
def install(target: "Release | None", find_links: "Path | None") -> None:
    """Install them now, where they are not yet, and print where they lie."""
    from tritonforge import toolchain

    with output.progress() as progress:
        found = toolchain.own(target, find_links=find_links, progress=progress)
    click.echo(found.root)


@command.command()
@options.served_by
@options.output_format
def show(target: "Release | None", output_format: str) -> None:
    """Show what is used, where it lies, and why it is that one."""
    from tritonforge.toolchain.survey import survey

    found = survey(target)
    facts = _facts(found)
    if output_format == "json":
        output.as_json(facts)
        return
    rows = [
        (key, each)
        for key, value in facts.items()
        for each in ([_sentence(one) for one in value] if isinstance(value, list) else [str(value)])
    ]
    output.table(("what", "value"), rows, left=2)
    if found.lacking is not None:
        click.echo(f"{found.lacking}.", err=True)
    elif found.server is None:
        click.echo("`tritonforge toolchain install` installs it; so does the first need.", err=True)


def _facts(found: "Survey") -> dict[str, Any]:
    """Lay out what was found; what is not there has no key."""
    from tritonforge.toolchain import Toolchain

    facts: dict[str, Any] = {"installed": isinstance(found.server, Toolchain)}
    facts |= {"folder": str(found.folder), "folder_why": found.folder_why}
    server = found.server
    if server is not None:
        facts |= {
            "tritonserver": str(server.tritonserver),
            "tritonserver_why": found.server_why,
            "triton": server.triton,
            "release": server.release,
            "onnxruntime": server.onnxruntime,
            "onnxruntime_why": found.runtime_why,
        }
    if found.lacking is not None:
        facts["lacking"] = found.lacking
    facts |= {"device": found.device, "device_why": found.device_why}
    if found.analyzer is not None:
        facts |= {
            "perf_analyzer": str(found.analyzer.program),
            "perf_analyzer_why": found.analyzer_why,
            "perf_analyzer_version": found.analyzer.version,
        }
    if isinstance(server, Toolchain):
        facts |= {
            "python": server.python,
            "interpreter": str(server.interpreter),
            "environment": str(server.root),
            "size_mib": _size(server.root) >> 20,
        }
    facts["not_used"] = [
        {"path": str(each.program), "why": each.reason} for each in found.refused
    ] + [
        {"path": str(each.root), "why": each.fault}
        for each in found.environments
        if each.fault is not None
    ]
    facts["environments"] = [
        {"path": str(each.root)} for each in found.environments if each.fault is None
    ]
    return facts


def _sentence(one: dict[str, str]) -> str:
    """Write a path, and why it is not used."""
    return f"{one['path']}: {one['why']}" if "why" in one else one["path"]


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
