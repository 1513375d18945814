"""`tritonforge spec`: what is wished of a model in the end, and who said so."""

from typing import Any

import click

from tritonforge.cli import flagged, options, output, specflags


@click.command()
@options.model
@specflags.every
@click.option("--all", "with_defaults", is_flag=True, help="List the defaults that count, too.")
@options.output_format
@click.pass_context
def command(
    context: click.Context,
    /,
    model: str,
    spec_file: Any,
    env: str | None,
    with_defaults: bool,
    output_format: str,
    **flags: Any,
) -> None:
    """Show the spec that counts for MODEL, and where each value comes from.

    MODEL is a model of tritonforge.toml, or a source under its defaults. The flags are those of
    build: they lie over the model's table, that over the defaults; of each table, that of the
    environment lies over the one without.
    """
    from tritonforge import specfile

    file = specfile.find(spec_file)
    if file is not None:
        file.check_env(env)
    specfile.check_source(model, file, env)
    found = specfile.effective(model, file, env, flagged.layer(context, flags))
    values = [*found.values, *(found.defaults if with_defaults else ())]
    if output_format == "json":
        listed = [{"key": each.key, "value": each.value, "origin": each.origin} for each in values]
        output.as_json({"model": model, "env": env, "listed": found.listed, "values": listed})
        return
    rows = [(each.key, _text(each.value), each.origin) for each in values]
    output.table(("key", "value", "said by"), rows, left=3)


def _text(value: Any) -> str:
    """Write a value as the file would."""
    import json

    return "" if value is None else json.dumps(value, ensure_ascii=False)
