"""Values of TOML: whether they are of the right type, and what they say of a model."""

import tomllib
from collections.abc import Mapping
from typing import Any, Literal

from tritonforge import knobs
from tritonforge.errors import SpecError, did_you_mean
from tritonforge.spec import Domain, Range, parse_input
from tritonforge.specfile.lines import At, entries
from tritonforge.tensors import TensorSpec

Schema = Mapping[str, Any]

_PARTS = ("dtype", "dims")
_LONGEST = 60  # of a value in an error


def ranges(said: Mapping[str, Any]) -> tuple[tuple[str, Range], ...]:
    """Read ranges by dimension."""
    return tuple((dim, _range(dim, value, (dim,))) for dim, value in said.items())


def _range(dim: str, value: Any, at: At) -> Range:
    try:
        return Range.parse(f"{dim}={value}")[1]
    except SpecError as error:
        raise SpecError(
            error.message.replace(f"--range '{dim}={value}'", f"the range {value!r}"),
            hint='write "1..512", "32..512:32" or "1..512@128"',
            at=at,
        ) from error


def profiles(said: Any) -> tuple[Mapping[str, Range], ...]:
    """Read ranges by dimension, one table a profile."""
    return tuple(
        {dim: _range(dim, value, (number, dim)) for dim, value in each.items()}
        for number, each in enumerate(said)
    )


def inputs(said: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    """Read those inputs whose dtype and dims were said; one without the other is an error."""
    for name, each in said.items():
        here = [key for key in _PARTS if key in each]
        missing = [key for key in _PARTS if key not in each]
        if here and missing:
            raise SpecError(
                f"it says {here[0]} and not {missing[0]}",
                hint='say both: { dtype = "INT64", dims = ["batch", "seq"] }',
                at=(name, here[0]),
            )
    return parts_of_inputs(said)


def parts_of_inputs(said: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    """Read what one layer says of inputs: what it leaves out, another may say."""
    found = []
    for name, each in said.items():
        if any(key in each for key in _PARTS):
            dims = ",".join(map(str, each.get("dims", ())))
            try:
                found.append(parse_input(f"{name}:{each.get('dtype', 'FP32')}:{dims}"))
            except SpecError as error:
                raise SpecError(error.message, hint=error.hint, at=(name,)) from error
    return tuple(found)


def domains(said: Mapping[str, Any]) -> tuple[tuple[str, Domain], ...]:
    """Read the domains of inputs."""
    found = []
    for name, each in said.items():
        if "domain" not in each:
            continue
        try:
            found.append(Domain.parse(f"{name}={each['domain']}"))
        except SpecError as error:
            raise SpecError(
                f"cannot read the domain {each['domain']!r}",
                hint='write "0..30000", "mask", "boxes" or "normal"',
                at=(name, "domain"),
            ) from error
    return tuple(found)


def options(provider: Literal["tensorrt", "cuda"], said: Mapping[str, Any]) -> dict[str, str]:
    """Read options of a provider, as texts; whether a release takes them is asked later."""
    known = knobs.known(provider)
    for key in said:
        if key not in known:
            raise SpecError(
                f"{provider} has no option {key!r}",
                hint=did_you_mean(key, known) or "README.md says where they are listed",
                at=(key,),
            )
    return {
        key: ("1" if value else "0") if isinstance(value, bool) else str(value)
        for key, value in said.items()
    }


def fits(value: Any, schema: Schema, at: At) -> None:
    """Raise `SpecError` where a value of TOML does not fit a schema of this module."""
    if "anyOf" in schema:
        if not any(_is(value, each) for each in schema["anyOf"]):
            wanted = " or ".join(map(_words, schema["anyOf"]))
            raise SpecError(f"it takes {wanted}, not {shown(value)}", at=at)
        return
    if not _is(value, schema):
        raise SpecError(
            f"it takes {_words(schema)}, not {shown(value)}",
            hint=did_you_mean(str(value), schema.get("enum", ())) or _quoting(value, schema),
            at=at,
        )
    if isinstance(value, list):
        for number, item in enumerate(value):
            fits(item, schema["items"], (*at, number))
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        for key, item in value.items():
            inner = known.get(key, schema["additionalProperties"])
            if inner is False:
                listed = f"there are {', '.join(known)}" if known else None
                raise SpecError(
                    f"there is no key {key!r}",
                    hint=did_you_mean(key, known) or listed,
                    at=(*at, key),
                )
            fits(item, inner, (*at, key))


def check_numbers(said: Any, at: At = ()) -> None:
    """Raise `SpecError` for a whole number that TOML has no room for, though Python has."""
    if isinstance(said, int) and not -(2**63) <= said < 2**63:
        raise SpecError("a whole number of TOML has 64 bits, and this one more", at=at)
    for key, item in entries(said):
        check_numbers(item, (*at, key))


def shown(value: Any) -> str:
    """Return a value as an error shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_BARE = ("integer", "number", "boolean")  # what TOML writes without quotes
_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": Mapping,
}


def _is(value: Any, schema: Schema) -> bool:
    """Say whether a value itself, not what it holds, is of a schema's type."""
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema["type"]
    if isinstance(value, bool) and kind != "boolean":
        return False
    return (
        isinstance(value, _TYPES[kind])
        and ("minimum" not in schema or value >= schema["minimum"])
        and ("maximum" not in schema or value <= schema["maximum"])
    )


def _quoting(value: Any, schema: Schema) -> str | None:
    """Hint at quotes that a number lacks, or that it should not have."""
    kind = schema.get("type")
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return "write it in quotes"
    if kind in _BARE and isinstance(value, str):
        try:
            bare = tomllib.loads(f"bare = {value}")
        except ValueError:
            return None
        return "write it without quotes" if _is(bare["bare"], schema) else None
    return None


def _words(schema: Schema) -> str:
    """Say what a schema takes."""
    if "enum" in schema:
        return ", ".join(schema["enum"])
    least = f" from {schema['minimum']}" if "minimum" in schema else ""
    least += f" to {schema['maximum']}" if "maximum" in schema else " up" if least else ""
    words = {
        "string": "a text",
        "integer": f"a whole number{least}",
        "number": f"a number{least}",
        "boolean": "true or false",
        "array": "a list",
        "object": "a table",
    }
    return words[schema["type"]]
