"""The flags that were given, as a layer above `tritonforge.toml`: keys, and who said them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tritonforge.errors import ForgeError

if TYPE_CHECKING:
    from tritonforge.specfile import Layer

Keys = tuple[str, ...]


def layer(context: click.Context, given: Mapping[str, Any]) -> "Layer":
    """Return the layer of those flags that were really given."""
    from tritonforge.specfile import Layer, check_model

    said: dict[str, Any] = {}
    origins: dict[tuple[str | int, ...], str] = {}
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if name in given and source is not ParameterSource.DEFAULT:
            for path, value in _entries(name, given[name]):
                _put(said, path, value)
                origins[path] = max(parameter.opts, key=len)
    for path, value in given["settings"]:
        single: dict[str, Any] = {}
        _put(single, path, value)
        try:
            check_model(single)
        except ForgeError as error:
            raise _wrong(context, path, error) from error
    return Layer(said=said, origins=origins)


def _entries(name: str, value: Any) -> Iterator[tuple[Keys, Any]]:
    """Yield the keys of a flag with their values, as the file would say them."""
    if name == "inputs":
        for tensor in value:
            yield ("inputs", tensor.name, "dtype"), tensor.dtype.name
            yield ("inputs", tensor.name, "dims"), list(tensor.dims)
    elif name == "domains":
        for tensor, domain in value:
            yield ("inputs", tensor, "domain"), domain.written
    elif name in {"ranges", "labels", "states"}:
        for key, each in value:
            yield (name, key), str(each)
    elif name in {"atol", "rtol"}:
        yield ("tolerance", name), value
    elif name == "settings":
        yield from value
    elif name == "target":
        yield (name,), value.tag
    else:
        yield (name,), _plain(value)


def _plain(value: Any) -> Any:
    """Return a value as TOML has it."""
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return list(map(str, value))
    return value if isinstance(value, str | int | float | bool) else str(value)


def _put(said: dict[str, Any], path: Keys, value: Any) -> None:
    """Set a value under a path of keys."""
    table = said
    for part in path[:-1]:
        below = table.get(part)
        table[part] = below if isinstance(below, dict) else {}
        table = table[part]
    table[path[-1]] = value


def _wrong(context: click.Context, path: Keys, error: ForgeError) -> click.BadParameter:
    """Make a usage error of a setting that no file could hold."""
    hint = f" ({error.hint})" if error.hint else ""
    text = f"{'.'.join(path)}: {error.message}{hint}"
    return click.BadParameter(text, context, param_hint="--set")
