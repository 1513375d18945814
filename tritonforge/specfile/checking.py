"""Check every key of `tritonforge.toml`, those of other environments too."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tritonforge import pbtxt
from tritonforge.errors import SpecError, did_you_mean
from tritonforge.spec import check_name
from tritonforge.specfile.keys import INPUT, KEYS, REPOSITORY
from tritonforge.specfile.lines import At
from tritonforge.specfile.values import domains, fits, parts_of_inputs

DEFAULTS, MODELS, ENV = "defaults", "models", "env"
_TENSORS = {"inputs": "input", "outputs": "output"}
_FEW = 12  # keys that an error lists


def check(said: Mapping[str, Any]) -> None:
    """Check the tables of a file, and those of each environment."""
    _known(said, (DEFAULTS, MODELS, ENV), ())
    _check_layer(said, ())
    for env, each in _tables(said, ENV, ()):
        _known(each, (DEFAULTS, MODELS), (ENV, env))
        _check_layer(each, (ENV, env))
        _check_names(each.get(MODELS, {}), said.get(MODELS, {}), (ENV, env, MODELS))


def _check_layer(said: Mapping[str, Any], root: At) -> None:
    """Check the defaults and the models of a file or of an environment."""
    defaults = said.get(DEFAULTS, {})
    if not isinstance(defaults, Mapping):
        raise SpecError("it takes a table", at=(*root, DEFAULTS))
    where = {key: value for key, value in defaults.items() if key == REPOSITORY.name}
    for value in where.values():
        fits(value, REPOSITORY.schema, (*root, DEFAULTS, REPOSITORY.name))
    if "source" in defaults:
        raise SpecError(
            "a source is a model's own", hint="move it there", at=(*root, DEFAULTS, "source")
        )
    check_model(
        {key: value for key, value in defaults.items() if key not in where}, (*root, DEFAULTS)
    )
    for name, model in _tables(said, MODELS, root):
        at = (*root, MODELS, name)
        with under(*at):
            check_name(name)
        check_model(model, at)


def _check_names(models: Mapping[str, Any], known: Mapping[str, Any], root: At) -> None:
    """Refuse a model of an environment alone that is none of the file's but for a slip.

    One that says its source is meant as a model of its own.
    """
    for name, model in models.items():
        near = did_you_mean(name, known)
        if name not in known and "source" not in model and near is not None:
            raise SpecError(
                f"the file has no model {name!r} without the environment",
                hint=f"{near} A model of the environment's own says its source",
                at=(*root, name),
            )


def _tables(said: Mapping[str, Any], key: str, root: At) -> Iterator[tuple[str, Any]]:
    """Yield the tables under a key by name."""
    found = said.get(key, {})
    for name, each in found.items() if isinstance(found, Mapping) else [("", found)]:
        if not isinstance(each, Mapping):
            raise SpecError("it takes a table", at=(*root, key, name) if name else (*root, key))
        yield name, each


def _known(said: Mapping[str, Any], known: tuple[str, ...], root: At) -> None:
    """Refuse a table that is none of ours."""
    for key in said:
        if key not in known and key in {REPOSITORY.name, *KEYS, *pbtxt.FIELDS}:
            table = ".".join((*map(str, root), "models.NAME" if key == "source" else DEFAULTS))
            raise SpecError(
                f"there is no table {key!r}", hint=f"write it under [{table}]", at=(*root, key)
            )
        if key not in known:
            raise _no_key(key, known, (*root, key), "table")


def check_model(said: Mapping[str, Any], root: At = ()) -> None:
    """Check the keys of one model's table, whatever else is said of the model."""
    for key in said:
        if key not in KEYS and key not in pbtxt.FIELDS:
            raise _no_key(key, [*KEYS, *pbtxt.FIELDS], (*root, key))
    for key in _TENSORS:
        for name, each in _tables(said, key, root):
            for field in each:
                known = [*(INPUT if key == "inputs" else ()), *pbtxt.TENSOR_FIELDS[key]]
                if field not in known:
                    raise _no_key(field, known, (*root, key, name, field))
    with under(*root):
        ours, config = split(said)
    for key, value in ours.items():
        fits(value, KEYS[key].schema, (*root, key))
        with under(*root, key):
            if key == "inputs":
                parts_of_inputs(value)
                domains(value)
            else:
                KEYS[key].read(value)
    with under(*root):
        pbtxt.check_wish(config)


def _no_key(key: str, known: Sequence[str], at: At, what: str = "key") -> SpecError:
    """Make the error of a key, or a table, that there is not."""
    listed = "README.md lists the keys" if len(known) > _FEW else f"there are {', '.join(known)}"
    return SpecError(f"there is no {what} {key!r}", hint=did_you_mean(key, known) or listed, at=at)


@contextmanager
def under(*root: str | int) -> Iterator[None]:
    """Put the key under which something was said before that of an error."""
    try:
        yield
    except SpecError as error:
        raise SpecError(error.message, hint=error.hint, at=(*root, *error.at)) from error


def split(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a model's table: keys of ours, and fields of ModelConfig (tensors by name)."""
    ours: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for key, value in said.items():
        if key in _TENSORS:
            own = {
                name: _own(name, each) if key == "inputs" else {} for name, each in value.items()
            }
            if key == "inputs":
                ours[key] = own
            rest = {
                name: {field: said for field, said in each.items() if field not in own[name]}
                for name, each in value.items()
            }
            config[_TENSORS[key]] = {name: each for name, each in rest.items() if each}
        elif key in KEYS:
            ours[key] = value
        else:
            config[key] = value
    return ours, config


def _own(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an input's table says of the export.

    Dims beside a reshape are those of requests: the config's. Raises `SpecError` where a dtype says
    that they are the export's too.
    """
    if {"reshape", "dtype", "dims"} <= said.keys():
        raise SpecError(
            "beside reshape the dims are those of requests, and beside dtype those of the export",
            hint="leave reshape out, or let the source say dtype and dims, by its example inputs",
            at=("inputs", name, "dims"),
        )
    sent = {"dims"} if "reshape" in said else set()
    return {key: value for key, value in said.items() if key in INPUT and key not in sent}
