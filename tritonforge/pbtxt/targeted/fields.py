"""Which fields of a config a release's Triton knows: text with another is not even read."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from tritonforge.pbtxt.descriptors import is_map
from tritonforge.pbtxt.targeted.fault import Fault, error, told_apart
from tritonforge.release import Release, images

_NEVER = "999"  # newer than every Triton


def unknown(message: Any, release: Release, prefix: str = "") -> Iterator[Fault]:
    """Yield each set field, and each value of an enum, that a release's Triton does not know.

    Nothing where the target is an ONNX Runtime, of whose Triton nothing is known.
    """
    if release.triton is None:
        return
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        late = _late(message.DESCRIPTOR.full_name, field.name, release)
        if late is not None:
            yield _fault(path, f"the field {field.name}", late, release)
        elif field.enum_type is not None:
            for number in value if field.is_repeated else [value]:
                named = field.enum_type.values_by_number.get(number)
                name = named.name if named else str(number)
                late = _late(field.enum_type.full_name, name, release)
                if late is not None:
                    yield _fault(path, f"the value {name}", late, release)
        elif field.message_type is not None:
            for place, each in _inside(path, field, value):
                yield from unknown(each, release, f"{place}.")


def _inside(path: str, field: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the messages that a field holds, each with its place."""
    if is_map(field):
        if field.message_type.fields_by_name["value"].message_type is not None:
            yield from ((f"{path}.{key}", value[key]) for key in sorted(value))
    elif field.is_repeated:
        yield from told_apart(path, value)
    else:
        yield path, value


def _fault(path: str, what: str, since: str, release: Release) -> Fault:
    """Say since when there is what a release's Triton does not know."""
    tags = [each.tag for each in images() if each.triton == since]
    came = f"came with {since}" + (f" of {tags[0]}" if tags else "")
    return error(
        path,
        f"Triton {release.triton} of release {release.tag} reads no config with {what}, which"
        f" {'no known Triton has' if since == _NEVER else came}",
    )


def _late(scope: str, name: str, release: Release) -> str | None:
    """Return the Triton that brought a field or a value after the release's; None if it has it."""
    since = _table()["fields"].get(scope, {}).get(name, _NEVER)
    if since is None or release.triton is None or _numbers(since) <= _numbers(release.triton):
        return None
    return str(since)


def _numbers(version: str) -> tuple[int, ...]:
    """Turn `2.51.0` into numbers."""
    return tuple(int(part) for part in version.split("."))


@cache
def _table() -> Any:
    """Read the data file once."""
    return json.loads(files("tritonforge").joinpath("data/config_fields.json").read_text("utf-8"))
