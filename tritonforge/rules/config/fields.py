"""Rules of fields and values that came with a newer Triton: text with one is not even read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tritonforge.pbtxt.descriptors import is_map
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.pbtxt.strict.known import late, named
from tritonforge.release import Release, images
from tritonforge.rules.places import keyed
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Config

_NEVER = "999"  # newer than every Triton


@dataclass(frozen=True, slots=True, kw_only=True)
class _Newer:
    """A field or a value that a release's Triton does not know: since when there is one."""

    path: str
    kind: str
    name: str
    since: str


@rule("FLD101", "refused")
def known_fields(config: Config) -> Iterator[Found]:
    """The release's Triton knows every field.

    It reads no config with one that it does not know. Nothing is said where the target is an ONNX
    Runtime, of whose Triton nothing is known.

    Source: triton-inference-server/common, `model_config.proto`, by release.
    Remedy: take the field out, or choose a newer release.
    """
    yield from _told(config, "field")


@rule("FLD102", "refused")
def known_values(config: Config) -> Iterator[Found]:
    """The release's Triton knows every value that has a name.

    It reads no config with one that it does not know.

    Source: triton-inference-server/common, `model_config.proto`, by release.
    Remedy: choose another value, or a newer release.
    """
    yield from _told(config, "value")


def _told(config: Config, kind: str) -> Iterator[Found]:
    """Say since when there is what a release's Triton does not know."""
    release = config.release
    for each in _newer(config.message, release):
        if each.kind == kind:
            tags = [image.tag for image in images() if image.triton == each.since]
            came = f"came with {each.since}" + (f" of {tags[0]}" if tags else "")
            yield Found(
                said=f"Triton {release.triton} of release {release.tag} reads no config with the"
                f" {kind} {each.name}, which"
                f" {'no known Triton has' if each.since == _NEVER else came}",
                at=each.path,
            )


def _newer(message: Any, release: Release, prefix: str = "") -> Iterator[_Newer]:
    """Yield what of a message is newer; inside of a newer field nothing more."""
    if release.triton is None:
        return
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        late = _late(message.DESCRIPTOR.full_name, field.name, release)
        if late is not None:
            yield _Newer(path=path, kind="field", name=field.name, since=late)
        elif field.enum_type is not None:
            yield from _newer_values(path, field, value, release)
        elif field.message_type is not None:
            for place, each in _inside(path, field, value):
                yield from _newer(each, release, f"{place}.")


def _newer_values(path: str, field: Any, value: Any, release: Release) -> Iterator[_Newer]:
    """Yield the values of an enum that are newer."""
    listed = [(f"{path}[{at}]", each) for at, each in enumerate(value)] if field.is_repeated else []
    for place, number in listed or [(path, value)]:
        known = field.enum_type.values_by_number.get(number)
        if known is None:  # it was written as a number, which every release reads
            continue
        since = _late(field.enum_type.full_name, known.name, release)
        if since is not None:
            yield _Newer(path=place, kind="value", name=known.name, since=since)


def _inside(path: str, field: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the messages that a field holds, each with its place."""
    if is_map(field):
        if field.message_type.fields_by_name["value"].message_type is not None:
            yield from ((keyed(path, key), value[key]) for key in sorted(value))
    elif field.is_repeated:
        yield from told_apart(path, value)
    else:
        yield path, value


def _late(scope: str, name: str, release: Release) -> str | None:
    """Return the Triton that brought a field or a value after the release's; None if it has it."""
    return late(scope, name, release.triton) if name in named(scope) else _NEVER
