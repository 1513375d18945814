"""What editors are told of `tritonforge.toml`: a JSON Schema, made of the keys themselves."""

from collections.abc import Iterator
from typing import Any

from tritonforge import pbtxt
from tritonforge.specfile.keys import KEYS, REPOSITORY

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file."""
    model = _model()
    defaults = {key: value for key, value in model.items() if key != "source"}
    layer = {
        "defaults": _table({REPOSITORY.name: _described(REPOSITORY), **defaults}),
        "models": {"type": "object", "additionalProperties": {"$ref": "#/$defs/model"}},
    }
    env = {"type": "object", "additionalProperties": _table(layer)}
    return {
        "$schema": _DRAFT,
        "title": "tritonforge.toml",
        **_table({**layer, "env": env}),
        "$defs": {"model": _table(model)},
    }


def _model() -> dict[str, Any]:
    """Describe the keys of a model: ours, then the fields of ModelConfig."""
    keys = {key.name: _described(key) for key in KEYS.values()}
    for name, kind in (("inputs", "input"), ("outputs", "output")):
        said = keys[name]["additionalProperties"]
        fields, own = pbtxt.schema(kind), said["properties"]
        properties = {**fields, **own}
        if "dims" in own:  # the export's, or those of requests
            properties["dims"] = {"anyOf": [own["dims"], fields["dims"]]}
        keys[name] = {**keys[name], "additionalProperties": {**said, "properties": properties}}
    return {**keys, **pbtxt.schema()}


def _described(key: Any) -> dict[str, Any]:
    return {"description": key.says, **key.schema}


def _table(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield each key of ours: its name, the flags above it, and what it says."""
    for key in (REPOSITORY, *KEYS.values()):
        yield key.name, key.flag or "", key.says
