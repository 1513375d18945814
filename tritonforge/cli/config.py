"""`tritonforge config`: read, change and compare what `config.pbtxt` says."""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output
from tritonforge.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tritonforge.repository import Repository
    from tritonforge.repository.configs import ConfigFile

_DIFFERENT = 1  # as of diff(1)
_dry_run = click.option(
    "--dry-run", is_flag=True, help="Print the change and leave the file as it is."
)


@click.group()
def command() -> None:
    """Read, change and compare what a model's config.pbtxt says.

    MODEL is a name in the repository, with a version or without, or the path of a config.pbtxt.
    PATH is a field, as max_batch_size, instance_group[0].count, input[ids].dims or
    parameters.intra_op_thread_count. Whatever else a file holds stays as it is: comments, order,
    spaces, and fields that this version does not know.
    """


@command.command()
@options.model
@click.argument("path", required=False)
@options.repository_of_config
@options.output_format
def get(model: str, path: str | None, model_repository: "Repository", output_format: str) -> None:
    """Print what stands at PATH of MODEL's config, or without PATH all of it.

    A string is printed without its quotes, anything else as it is written. What is not set is
    an error.
    """
    from tritonforge import pbtxt
    from tritonforge.repository import configs

    file = configs.find(model, model_repository)
    text = file.read()
    if output_format == "json":
        held = pbtxt.held(text, path, file.path)
        output.as_json({"file": str(file.path), "path": path, "value": held})
    elif path is None:
        click.echo(text, nl=False, color=True)
    else:
        held = pbtxt.held(text, path, file.path)
        found = pbtxt.get(text, path, file.path)
        is_string = isinstance(held, str) and found.startswith(('"', "'"))
        click.echo(held if is_string else found, color=True)


@command.command(name="set", context_settings={"ignore_unknown_options": True})
@options.model
@click.argument("path")
@click.argument("value")
@options.model_repository
@_dry_run
def put(
    model: str, path: str, value: str, model_repository: "Repository", *, dry_run: bool
) -> None:
    """Set PATH of MODEL's config to VALUE, and print the change.

    VALUE is a number, true or false, a name such as KIND_GPU, a text (quotes may be left out), a
    list as [4, 8] or 4,8, or a message as '{ count: 2 }'. instance_group[+] adds an element, and
    messages on the way that do not exist are made. A value that Triton would not read is refused,
    and so is one with which a server refuses the config.
    """
    from tritonforge import pbtxt

    def edit(text: str, file: "ConfigFile") -> str:
        after = pbtxt.put(text, path, value, file.path)
        _check_name(text, after, file)
        return after

    _change(model, model_repository, edit, dry_run=dry_run)


@command.command()
@options.model
@click.argument("path")
@options.model_repository
@_dry_run
def unset(model: str, path: str, model_repository: "Repository", *, dry_run: bool) -> None:
    """Take PATH out of MODEL's config, and print the change.

    PATH is a field, an element or the key of a map. A comment on its line stays. What a server
    then would refuse is not taken out.
    """
    from tritonforge import pbtxt

    def edit(text: str, file: "ConfigFile") -> str:
        return pbtxt.unset(text, path, file.path)

    _change(model, model_repository, edit, dry_run=dry_run)


@command.command()
@click.argument("a", callback=options.named)
@click.argument("b", callback=options.named)
@options.repository_of_configs
@options.output_format
@click.pass_context
def diff(
    context: click.Context, a: str, b: str, model_repository: "Repository", output_format: str
) -> None:
    """Compare the configs A and B field by field; exit code 1 says that they differ.

    Each is a model's name or the path of a config.pbtxt. Comments, order of fields and spelling do
    not matter; fields that this version does not know are compared by their text.
    """
    from dataclasses import asdict

    from tritonforge import pbtxt
    from tritonforge.repository import configs

    one, other = (configs.find(each, model_repository) for each in (a, b))
    found = pbtxt.differences(one.read(), other.read(), one.path, other.path)
    if output_format == "json":
        output.as_json({"same": not found, "differences": [asdict(each) for each in found]})
    elif found:
        rows = [(each.path, _cell(each.a), _cell(each.b)) for each in found]
        output.table(("path", a, b), rows, left=3)
    if found:
        context.exit(_DIFFERENT)


def _change(
    model: str,
    repository: "Repository",
    edit: "Callable[[str, ConfigFile], str]",
    *,
    dry_run: bool,
) -> None:
    """Change a config by a function of its text, under the lock, and print the change."""
    from tritonforge.repository import configs
    from tritonforge.rules.edits import check_edit

    file = configs.find(model, repository)
    with nullcontext() if dry_run else file.locked():
        before = file.read()
        after = edit(before, file)
        check_edit(before, after, file.path)
        if after != before and not dry_run:
            file.write(after)
    click.echo(output.unified(before, after, str(file.path)), nl=False, color=True)


def _check_name(before: str, after: str, file: "ConfigFile") -> None:
    """Refuse a `name` that differs from the folder's, as Triton does."""
    from tritonforge import pbtxt

    if file.model is None:
        return
    old, new = (pbtxt.held(each, None, file.path).get("name", "") for each in (before, after))
    if new != old and new not in {"", file.model}:
        raise ConfigError(
            f"Triton loads no model whose name, {new!r}, is not that of its folder, {file.model!r}",
            hint="rename the folder and unset name, in whichever order",
        )


def _cell(value: Any) -> str:
    """Write a value short for a table."""
    import json

    if value is None:
        return "not set"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
