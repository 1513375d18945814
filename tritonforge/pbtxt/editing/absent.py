"""What is said of a path that leads to nothing: which elements there are in its place."""

from pathlib import Path

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.editing.paths import Index, Key
from tritonforge.pbtxt.editing.places import Place, key_of, named


def absence(place: Place, path: str, file: Path | str) -> ConfigError:
    """Return the error of a place that a config does not hold."""
    leg = place.leg
    said, hint = f"{path} is not set", f"{file} leaves it to Triton"
    if isinstance(leg.which, Key) and not leg.is_map:
        said, hint = f"there is no {leg.name} {leg.which.text!r}", _has(place)
    elif isinstance(leg.which, Key) and place.count:
        hint = _has(place)
    elif isinstance(leg.which, Index) and place.count:
        hint = f"{leg.name} holds {place.count}, counted from 0"
    return ConfigError(said, hint=hint)


def _has(place: Place) -> str:
    """List the names, or the keys, of the elements that there are."""
    values = [value for each in place.fields for value in each.values]
    if place.leg.is_map:
        names = [str(key_of(each, place.leg.field)) for each in values]
    else:
        names = [name for name in map(named, values) if name is not None]
    return f"the file has {', '.join(map(repr, names))}" if names else "the file has none"
